/** GEMM variants on matrix units: the configuration that a device offers, tile sizes, and K split over workgroups. */
import type { Capabilities } from '../../runtime/capabilities';
import type { Cannot, Lowering, Variant } from '../../runtime/op';
import { BYTES } from '../../runtime/tensor-type';
import { type FactorType, matrixUnits } from '../matrix-units';
import loadsWgsl from './gemm_loads.wgsl';
import matrixWgsl from './gemm_matrix.wgsl';
import type { GemmAttrs, GemmCall } from './lowering';
import { dispatch, gridFits, layoutFlags, sizes, vec4Obstacle } from './lowering';
import subgroupMatrixWgsl from './subgroup_matrix.wgsl';
import { SPLITS, split, splitObstacle, tileGrid } from './tiled';

/** A workgroup of GX x GY subgroups computes BM x BN elements of y. */
interface MatrixTile {
  readonly BM: number;
  readonly BN: number;
  readonly GX: number;
  readonly GY: number;
}

const SQUARE: MatrixTile = { BM: 64, BN: 64, GX: 2, GY: 2 };

const TILES: readonly (readonly [name: string, tile: MatrixTile])[] = [
  ['matrix', SQUARE],
  ['matrix_128x64', { BM: 128, BN: 64, GX: 2, GY: 4 }],
  ['matrix_128x128', { BM: 128, BN: 128, GX: 2, GY: 4 }],
];

/** Terms of a slice: 64 bytes of a line. */
const sliceOf = (type: FactorType) => 64 / BYTES[type];

function lowerMatrix(
  variant: string,
  call: GemmCall,
  caps: Capabilities,
  tile: MatrixTile,
  parts = 1,
): Lowering | Cannot {
  const { BM, BN, GX, GY } = tile;
  const found = matrixUnits(
    caps,
    call.inputs.slice(0, 2),
    (one, of) => (BM / GY) % one.M === 0 && (BN / GX) % one.N === 0 && sliceOf(of) % one.K === 0,
  );
  if ('cannot' in found) return found;
  const { config, type, lanes: LANES } = found;
  const { M, N, K } = sizes(call);
  const [FM, FN, FK] = [config.M, config.N, config.K];
  const [BK, SIZE, STAGE] = [sliceOf(type), GX * GY * LANES, FM * FN * GX * GY];
  const pad = 16 / BYTES[type];
  // A line of a tile runs along what x or w runs along.
  const [A_LINE, A_LINES] = call.attrs.x === 'km' ? [BM + pad, BK] : [BK + pad, BM];
  const [B_LINE, B_LINES] = call.attrs.weight === 'kn' ? [BN + pad, BK] : [BK + pad, BN];
  const [A_SIZE, B_SIZE] = [A_LINE * A_LINES, B_LINE * B_LINES];
  const [A_LOADS, B_LOADS] = [(BM * BK) / 4 / SIZE, (BN * BK) / 4 / SIZE];
  const bytes = (A_SIZE + B_SIZE) * BYTES[type] + STAGE * 4;
  const terms = Math.ceil(K / parts / BK) * BK;
  const grid = [...tileGrid({ M, N }, tile), Math.ceil(K / terms)] as const;
  const obstacle =
    vec4Obstacle(call) ??
    (SIZE > Math.min(caps.maxInvocations, caps.maxWorkgroupSizeX) || A_LOADS % 1 || B_LOADS % 1
      ? { cannot: `${GX * GY} subgroups of ${LANES} are too many` }
      : undefined) ??
    (bytes > caps.maxWorkgroupStorage
      ? { cannot: `it needs ${bytes} bytes of workgroup memory` }
      : undefined) ??
    splitObstacle(call, parts, grid[2], caps) ??
    gridFits(grid, caps);
  if (obstacle) return obstacle;
  const [RM, RN] = [BM / GY / FM, BN / GX / FN];
  const product = dispatch(
    call,
    {
      name: 'matrix',
      wgsl: matrixWgsl,
      includes: { gemm_loads: loadsWgsl, subgroup_matrix: subgroupMatrixWgsl },
      constants: {
        ...{ SPLIT: terms, BM, BN, BK, GX, GY, LANES, SIZE, FM, FN, FK, RM, RN, RESULTS: RM * RN },
        ...{ A_LOADS, B_LOADS, A_LINE, B_LINE, A_SIZE, B_SIZE, STAGE },
      },
      types: { T: type },
      flags: layoutFlags(call),
      workgroups: grid,
    },
    parts > 1,
  );
  return split(variant, call, caps, product, parts);
}

export const matrixVariants: readonly Variant<GemmAttrs>[] = [
  ...TILES.map(
    ([name, tile]): Variant<GemmAttrs> => ({
      name,
      ...(name !== 'matrix' && { sibling: 'matrix' }),
      lower: (call, caps) => lowerMatrix(name, call, caps, tile),
    }),
  ),
  ...SPLITS.map((parts): Variant<GemmAttrs> => {
    const name = `matrix_split_${parts}`;
    return { name, sibling: 'matrix', lower: (call, caps) => lowerMatrix(name, call, caps, SQUARE, parts) };
  }),
];
