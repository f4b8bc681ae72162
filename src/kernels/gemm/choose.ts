/** Which variant of GEMM computes a call on a device: a pure function. */
import type { Capabilities } from '../../runtime/capabilities';
import { isCannot, type Variant } from '../../runtime/op';
import { type GemmAttrs, type GemmCall, sizes, vec4Obstacle } from './lowering';
import { matrixVariants } from './matrix';
import { broadcastVariants, layoutObstacle, registerTile, registerVariants } from './registers';
import { SPLITS, tiledVariants, tileGrid } from './tiled';

export const gemmVariants: readonly Variant<GemmAttrs>[] = [
  ...registerVariants,
  ...tiledVariants,
  ...broadcastVariants,
  ...matrixVariants,
];

/**
 * Workgroups that keep a large GPU busy: two on each of an H100's 132 multiprocessors. Fewer tiles than this get smaller, then K is
 * split. Not measured on any GPU yet.
 */
const BUSY = 264;

/** Terms of K that a part needs to be worth the way of its sums through memory. Not measured either. */
const LEAST_TERMS = 256;

/** Tiles of a product, and the names of what computes with them. */
const FAMILIES = {
  tiled: { large: 'tiled_128x64', small: 'tiled', split: 'split' },
  matrix: { large: 'matrix_128x64', small: 'matrix', split: 'matrix_split' },
} as const;

export function chooseGemm(call: GemmCall, caps: Capabilities): string {
  const { M, N, K } = sizes(call);
  const can = (name: string) =>
    !isCannot(gemmVariants.find((variant) => variant.name === name)!.lower(call, caps));
  // Each is about twice as fast as `registers` where subgroups are that wide (shapes of ViT-L/14, f32 and f16, lavapipe and
  // SwiftShader), but compiles for half a second more: smaller products would win that back in hundreds of runs only (2 shared
  // cores, November 2026).
  if (caps.software && M >= 16 && N >= 16 && 2 * M * N * K >= 5e7) {
    const fast = caps.subgroupMinSize < 8 ? 'panel' : 'broadcast';
    if (can(fast)) return fast;
  }
  const most = caps.maxWorkgroupsPerDimension;
  if (vec4Obstacle(call) || Math.ceil(M / registerTile(call, caps).TM) > most) return 'plain';
  // Barriers are dear on CPUs; and a tile wastes most of its work on a few rows or columns.
  if (caps.software || M < 16 || N < 16) return layoutObstacle(call) ? 'plain' : 'registers';
  const f16 = call.inputs.slice(0, 2).every(({ dtype }) => dtype === 'f16');
  const family = FAMILIES[f16 && can('matrix') ? 'matrix' : 'tiled'];
  return [...candidates(family, call), family.small, 'tiled'].find(can) ?? 'plain';
}

/** Best first; some may be impossible. */
function candidates({ large, split }: (typeof FAMILIES)['tiled' | 'matrix'], call: GemmCall): string[] {
  const { M, N, K } = sizes(call);
  const tiles = (BM: number, BN: number) => tileGrid({ M, N }, { BM, BN }).reduce((a, b) => a * b);
  if (tiles(128, 64) >= BUSY) return [large];
  const small = tiles(64, 64);
  if (small >= BUSY) return [];
  const parts = SPLITS.filter((n) => K / n >= LEAST_TERMS);
  const wanted = parts.find((n) => small * n >= BUSY) ?? parts.at(-1);
  return wanted ? [`${split}_${wanted}`] : [];
}
