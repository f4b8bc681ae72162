/** Attention on matrix units: tile sizes, and how a tile is divided among subgroups. */
import type { Capabilities } from '../../runtime/capabilities';
import type { Cannot, Lowering, Variant } from '../../runtime/op';
import { BYTES } from '../../runtime/tensor-type';
import { type MatrixUnits, matrixUnits } from '../matrix-units';
import matrixWgsl from './attention_matrix.wgsl';
import unitsWgsl from './attention_units.wgsl';
import { sizeObstacle, sizes } from './heads';
import { type AttentionAttrs, type AttentionCall, lowering } from './lowering';

/** Queries of a workgroup, keys of a block, and subgroups along keys (or elements) and queries: the first that fit are taken. */
interface MatrixTile {
  readonly queries: number;
  readonly keys: number;
  readonly splits: readonly (readonly [GX: number, GY: number])[];
}

/** The tile whose kernel is tested on every case. */
const SMALLEST: MatrixTile = {
  queries: 16,
  keys: 32,
  splits: [
    [2, 1],
    [1, 2],
    [1, 1],
  ],
};

/** In the order of preference: the first that fits a device's workgroup memory is chosen. */
const TILES: readonly MatrixTile[] = [
  {
    queries: 32,
    keys: 64,
    splits: [
      [4, 1],
      [2, 2],
      [1, 4],
      [1, 2],
    ],
  },
  SMALLEST,
  {
    queries: 64,
    keys: 64,
    splits: [
      [2, 2],
      [4, 1],
      [1, 4],
    ],
  },
];

const nameOf = ({ queries, keys }: MatrixTile) => `matrix_${queries}x${keys}`;

/** The first of a tile's splits, and the first configuration in it, of which nothing is left over. */
function divide(
  call: AttentionCall,
  { queries, keys, splits }: MatrixTile,
  caps: Capabilities,
): (MatrixUnits & { readonly GX: number; readonly GY: number }) | Cannot {
  const { size } = sizes(call);
  let cannot: Cannot | undefined;
  for (const [GX, GY] of splits) {
    const units = matrixUnits(caps, call.inputs, ({ M, N, K }) =>
      [queries % (GY * M), keys % (GX * N), size % (GX * N), size % K, keys % K].every((rest) => rest === 0),
    );
    if (!('cannot' in units)) return { ...units, GX, GY };
    cannot ??= units;
  }
  return cannot!;
}

function lowerMatrix(call: AttentionCall, tile: MatrixTile, caps: Capabilities): Lowering | Cannot {
  const { batch, tokens, heads, size } = sizes(call);
  const found = sizeObstacle(size, 4, 128) ?? divide(call, tile, caps);
  if ('cannot' in found) return found;
  const { config, type, lanes: LANES, GX, GY } = found;
  const [BQ, BK, QUADS, SUBGROUPS] = [tile.queries, tile.keys, size / 4, GX * GY];
  const [FM, FN, FK, THREADS] = [config.M, config.N, config.K, SUBGROUPS * LANES];
  const pad = 16 / BYTES[type];
  const [HEAD_LINE, WEIGHT_LINE, STAGE_LINE] = [size + pad, BK + pad, Math.max(BK, size) + 4];
  const [Q_SIZE, KV_SIZE] = [BQ * HEAD_LINE, BK * HEAD_LINE];
  const [WEIGHTS, STAGE] = [BQ * WEIGHT_LINE, BQ * STAGE_LINE];
  const LOADS = (BK * QUADS) / THREADS;
  if (THREADS > Math.min(caps.maxInvocations, caps.maxWorkgroupSizeX) || LOADS % 1 !== 0)
    return { cannot: `${SUBGROUPS} subgroups of ${LANES} are too many` };
  const bytes = (Q_SIZE + KV_SIZE + WEIGHTS) * BYTES[type] + (STAGE + BQ + 4) * 4;
  if (bytes > caps.maxWorkgroupStorage) return { cannot: `it takes ${bytes} bytes of workgroup memory` };
  const [RM, RO, STEPS] = [BQ / GY / FM, size / GX / FN, size / FK];
  const use = {
    kernel: 'matrix',
    wgsl: matrixWgsl,
    includes: { attention_units: unitsWgsl },
    constants: {
      ...{ QUADS, BQ, BK, GX, GY, SUBGROUPS, LANES, THREADS, FM, FN, FK, LOADS },
      ...{ RM, RS: BK / GX / FN, RO, STEPS, HELD: RM * STEPS, RESULTS: RM * RO },
      ...{ ROWS: BQ / SUBGROUPS, EACH: Math.ceil(BK / LANES) },
      ...{ HEAD_LINE, WEIGHT_LINE, STAGE_LINE, Q_SIZE, KV_SIZE, WEIGHTS, STAGE },
    },
    types: { F: type },
    workgroups: [Math.ceil(tokens / BQ), heads, batch] as const,
  };
  return lowering(call, nameOf(tile), use, caps);
}

export const matrixVariants: readonly Variant<AttentionAttrs>[] = TILES.map((tile) => ({
  name: nameOf(tile),
  ...(tile !== SMALLEST && { sibling: nameOf(SMALLEST) }),
  lower: (call, caps) => lowerMatrix(call, tile, caps),
}));
