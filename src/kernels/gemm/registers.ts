/** GEMM variants without workgroup memory: the plain statement, sums in registers, and terms shared by a subgroup. */
import { type Capabilities, foldGrid } from '../../runtime/capabilities';
import type { Cannot, Lowering, Variant } from '../../runtime/op';
import broadcastWgsl from './gemm_broadcast.wgsl';
import panelWgsl from './gemm_panel.wgsl';
import plainWgsl from './gemm_plain.wgsl';
import registersWgsl from './gemm_registers.wgsl';
import registersKnWgsl from './gemm_registers_kn.wgsl';
import type { GemmAttrs, GemmCall } from './lowering';
import { dispatch, gridFits, sizes, strides, subgroupObstacle, vec4Obstacle } from './lowering';

function lowered(
  call: GemmCall,
  name: string,
  wgsl: string,
  constants: Record<string, number>,
  workgroups: readonly [number, number, number],
  flags: readonly string[] = [],
): Lowering {
  return { variant: name, dispatches: [dispatch(call, { name, wgsl, constants, workgroups, flags })] };
}

/** Why `registers` has no kernel for a call's layouts, if it has none. */
export function layoutObstacle({ attrs }: GemmCall): Cannot | undefined {
  return attrs.x === 'km' && attrs.weight === 'nk' ? { cannot: 'x is [K, M] and w [N, K]' } : undefined;
}

/**
 * Elements of y an invocation computes: fewer where there are few rows or columns. 8 x 8 is 1.9 times as fast as 4 x 4 on
 * SwiftShader (subgroups of 4); on lavapipe (subgroups of 8) 4 x 4 is 1.4 times as fast, and compiles in a quarter of the
 * time (290 x 1024 x 1024, f32, 2 shared cores, November 2026).
 */
export function registerTile(call: GemmCall, caps: Capabilities): { TM: number; TN: number } {
  const { M, N } = sizes(call);
  const side = caps.subgroupMaxSize >= 8 ? 4 : 8;
  return { TM: M >= side ? side : M >= 4 ? 4 : 1, TN: N >= 32 ? side : call.attrs.weight === 'kn' ? 4 : 2 };
}

export const registerVariants: readonly Variant<GemmAttrs>[] = [
  {
    name: 'plain',
    lower(call, caps) {
      const s = sizes(call);
      return lowered(call, 'plain', plainWgsl, strides(call), foldGrid(Math.ceil((s.M * s.N) / 64), caps));
    },
  },
  {
    name: 'registers',
    lower(call, caps) {
      const s = sizes(call);
      const { TM, TN } = registerTile(call, caps);
      const WX = 8;
      const grid = [Math.ceil(s.N / (TN * WX)), Math.ceil(s.M / TM), 1] as const;
      const obstacle = layoutObstacle(call) ?? vec4Obstacle(call) ?? gridFits(grid, caps);
      if (obstacle) return obstacle;
      if (call.attrs.weight === 'nk')
        return lowered(call, 'registers', registersWgsl, { TM, TN, TILE: TM * TN, WX }, grid);
      const km = call.attrs.x === 'km';
      const quads = { TM, TN, QN: TN / 4, TILE: (TM * TN) / 4, WX, QM: Math.ceil(TM / 4) };
      return lowered(call, 'registers', registersKnWgsl, quads, grid, km ? ['X_KM'] : []);
    },
  },
];

/** For adapters that compute on a CPU; `broadcast` can also run on GPUs with subgroups of one size. */
export const broadcastVariants: readonly Variant<GemmAttrs>[] = [
  {
    name: 'broadcast',
    lower(call, caps) {
      const { M, N, K } = sizes(call);
      const { x, weight } = call.attrs;
      const kn = weight === 'kn';
      // 16 rows are 1.1 to 1.5 times as fast as 8 where w is [N, K] (ViT-L/14 at 290 tokens, f32, lavapipe, 2 busy cores, CPU time,
      // November 2026); no such gain was seen where it is [K, N], nor looked for on GPUs, whose registers are fewer.
      const [TM, TN, LANES] = [caps.software && !kn ? 16 : 8, 4, caps.subgroupMinSize];
      const grid = [Math.ceil(N / (TN * LANES)), Math.ceil(M / TM), 1] as const;
      const odd = (kn ? N : K) % 4 !== 0 && { cannot: `${kn ? 'N' : 'K'} is not a multiple of 4` };
      const obstacle =
        subgroupObstacle(caps, [4, 8, 16, 32, 64]) ?? (odd || undefined) ?? gridFits(grid, caps);
      if (obstacle) return obstacle;
      const ofX = x === 'km' ? { ROW_STRIDE: 1, X_STRIDE: M } : { ROW_STRIDE: K, X_STRIDE: 1 };
      const constants = { TM, TN, QN: TN / 4, TILE: TM * TN, LANES, QL: LANES / 4, ...ofX };
      const layouts = [...(K % LANES ? ['K_TAIL'] : []), ...(kn ? ['W_KN'] : [])];
      return lowered(call, 'broadcast', broadcastWgsl, constants, grid, layouts);
    },
  },
  {
    name: 'panel',
    lower(call, caps) {
      const { M, N: columns, K } = sizes(call);
      const { bias, residual, activation, halves } = call.attrs;
      // A dispatch a result: with a branch, this adapter would do both sides for every sum that is kept in y.
      const results = halves ? 2 : 1;
      const N = columns / results;
      // 16 columns are 1.2 times as fast as 8, and take twice as long to compile (0.5 s; SwiftShader, November 2026).
      const [TN, KC] = [2 * M * N * K >= 5e7 ? 16 : 8, 64];
      // Blocks of at most 160 rows, as equal as they can be.
      const ROWS = Math.ceil(M / Math.ceil(M / 160));
      const grid = [Math.ceil(N / (TN * 4)), Math.ceil(M / ROWS), 1] as const;
      const f16 = call.outputs[0]!.dtype === 'f16' && {
        cannot: 'sums between are kept in y, which is f16',
      };
      const obstacle = subgroupObstacle(caps, [4]) ?? (f16 || undefined) ?? gridFits(grid, caps);
      if (obstacle) return obstacle;
      const constants = {
        N,
        TN,
        ROWS,
        KC,
        QUADS: KC / 4,
        BLOCKS: KC / 16,
        PANEL: (TN * KC) / 4,
        ...strides(call),
      };
      const tails = [...(K % KC ? ['K_TAIL'] : []), ...(N % (4 * TN) ? ['N_TAIL'] : [])];
      const last = bias || residual || activation ? ['EPILOGUE'] : [];
      const alone: GemmCall = { ...call, attrs: { ...call.attrs, halves: false } };
      const dispatches = Array.from({ length: results }, (_, output) => {
        const { bindings, ...rest } = dispatch(alone, {
          ...{ name: 'panel', wgsl: panelWgsl, workgroups: grid, flags: [...tails, ...last] },
          constants: { ...constants, FIRST: output * N },
        });
        return { ...rest, bindings: { ...bindings, y: { output } } };
      });
      return { variant: 'panel', dispatches };
    },
  },
];
