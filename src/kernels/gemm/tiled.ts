/** GEMM variants through workgroup memory: one kernel, a table of tile sizes, and K split over workgroups. */
import type { Capabilities } from '../../runtime/capabilities';
import type { Cannot, Lowering, Variant } from '../../runtime/op';
import loadsWgsl from './gemm_loads.wgsl';
import tiledWgsl from './gemm_tiled.wgsl';
import type { GemmAttrs, GemmCall } from './lowering';
import { dispatch, gridFits, layoutFlags, sizes, splitSum, vec4Obstacle } from './lowering';

/** A workgroup of WX x WY computes BM x BN elements of y, K in slices of BK; BM BK and BN BK are multiples of 4 WX WY. */
export interface Tile {
  readonly BM: number;
  readonly BN: number;
  readonly BK: number;
  readonly WX: number;
  readonly WY: number;
}

const SQUARE: Tile = { BM: 64, BN: 64, BK: 16, WX: 16, WY: 16 };

/**
 * `half`: f16 operands stay f16 in workgroup memory (half the bytes to move there, a conversion more for each use). In the
 * portable 16 KiB fits 128 x 128 with slices of 8, or of 16 in halves.
 */
const TILES: readonly (readonly [name: string, tile: Tile, half?: true])[] = [
  ['tiled', SQUARE],
  ['tiled_32x64', { BM: 32, BN: 64, BK: 16, WX: 16, WY: 8 }],
  ['tiled_128x64', { BM: 128, BN: 64, BK: 16, WX: 16, WY: 16 }],
  ['tiled_64x128', { BM: 64, BN: 128, BK: 16, WX: 16, WY: 16 }],
  ['tiled_128x128', { BM: 128, BN: 128, BK: 8, WX: 16, WY: 16 }],
  ['tiled_128x64_half', { BM: 128, BN: 64, BK: 16, WX: 16, WY: 16 }, true],
  ['tiled_128x128_half', { BM: 128, BN: 128, BK: 16, WX: 16, WY: 16 }, true],
];

/** Into how many parts K may be split. */
export const SPLITS = [2, 4, 8] as const;

export const tileGrid = (
  { M, N }: { readonly M: number; readonly N: number },
  { BM, BN }: Pick<Tile, 'BM' | 'BN'>,
) => [Math.ceil(N / BN), Math.ceil(M / BM)] as const;

function lowerTiled(
  variant: string,
  call: GemmCall,
  caps: Capabilities,
  { BM, BN, BK, WX, WY }: Tile,
  { half = false, parts = 1 } = {},
): Lowering | Cannot {
  const { M, N, K } = sizes(call);
  const size = WX * WY;
  const [QM, QN, A_LINE, B_LINE] = [BM / WY / 4, BN / WX / 4, BM / 4 + 1, BN / 4 + 1];
  const terms = Math.ceil(K / parts / BK) * BK;
  // Of what this kernel writes.
  const row = call.attrs.halves && parts === 1 ? N / 2 : N;
  const grid = [...tileGrid({ M, N }, { BM, BN }), Math.ceil(K / terms)] as const;
  const obstacle =
    vec4Obstacle(call) ??
    (half && call.inputs.slice(0, 2).some(({ dtype }) => dtype !== 'f16')
      ? { cannot: 'x and w are not both f16' }
      : undefined) ??
    splitObstacle(call, parts, grid[2], caps) ??
    gridFits(grid, caps);
  if (obstacle) return obstacle;
  const product = dispatch(
    call,
    {
      name: 'tiled',
      wgsl: tiledWgsl,
      includes: { gemm_loads: loadsWgsl },
      constants: {
        ...{ SPLIT: terms, BM, BN, BK, WX, WY, SIZE: size, QM, QN, SUMS: 4 * QM * QN },
        ...{ A_LOADS: (BM * BK) / 4 / size, B_LOADS: (BN * BK) / 4 / size },
        ...{ A_LINE, B_LINE, A_SIZE: BK * A_LINE, B_SIZE: BK * B_LINE },
      },
      types: { T: half ? 'f16' : 'f32' },
      flags: [...layoutFlags(call), ...(row % 4 === 0 ? ['Y_QUADS'] : [])],
      workgroups: grid,
    },
    parts > 1,
  );
  return split(variant, call, caps, product, parts);
}

/** Why K cannot be split into `parts`, of which `found` would have terms, if it cannot. */
export function splitObstacle(
  call: GemmCall,
  parts: number,
  found: number,
  caps: Capabilities,
): Cannot | undefined {
  const { M, N, K } = sizes(call);
  if (found !== parts) return { cannot: `K = ${K} does not fill ${parts} parts` };
  const bytes = 4 * parts * M * N;
  return parts > 1 && bytes > caps.maxBindingBytes
    ? { cannot: `${parts} partial sums of y need ${bytes} bytes` }
    : undefined;
}

/** The lowering of a product whose K is in `parts`: alone, or with the sum over the parts. */
export function split(
  variant: string,
  call: GemmCall,
  caps: Capabilities,
  product: Lowering['dispatches'][number],
  parts: number,
): Lowering {
  if (parts === 1) return { variant, dispatches: [product] };
  const { M, N } = sizes(call);
  return {
    variant,
    scratch: [{ dtype: 'f32', shape: [parts, M, N] }],
    dispatches: [product, splitSum(call, parts, caps)],
  };
}

export const tiledVariants: readonly Variant<GemmAttrs>[] = [
  ...TILES.map(
    ([name, tile, half = false]): Variant<GemmAttrs> => ({
      name,
      ...(name !== 'tiled' && { sibling: 'tiled' }),
      lower: (call, caps) => lowerTiled(name, call, caps, tile, { half }),
    }),
  ),
  ...SPLITS.map((parts): Variant<GemmAttrs> => {
    const name = `split_${parts}`;
    return { name, sibling: 'tiled', lower: (call, caps) => lowerTiled(name, call, caps, SQUARE, { parts }) };
  }),
];
