/** Attention's variants on matrix units: a row is a query, a column a key. */
import type { Capabilities } from '../../runtime/capabilities';
import type { Cannot, Lowering, Variant } from '../../runtime/op';
import { BYTES } from '../../runtime/tensor-type';
import matrixWgsl from './attention_matrix.wgsl';
import unitsWgsl from './attention_units.wgsl';
import { sizes } from './heads';
import { type AttentionAttrs, type AttentionCall, lowering } from './lowering';
import { divide, type MatrixTile, matrixName, memoryObstacle } from './matrix-tiles';

/** The tile whose kernel is tested on every case. */
const SMALLEST: MatrixTile = {
  rows: 16,
  columns: 32,
  splits: [
    [2, 1],
    [1, 2],
    [1, 1],
  ],
};

/** In the order of preference: the first that fits a device's workgroup memory is chosen. */
const TILES: readonly MatrixTile[] = [
  {
    rows: 32,
    columns: 64,
    splits: [
      [4, 1],
      [2, 2],
      [1, 4],
      [1, 2],
    ],
  },
  SMALLEST,
  {
    rows: 64,
    columns: 64,
    splits: [
      [2, 2],
      [4, 1],
      [1, 4],
    ],
  },
];

function lowerMatrix(call: AttentionCall, tile: MatrixTile, caps: Capabilities): Lowering | Cannot {
  const { batch, tokens, heads, size } = sizes(call);
  const found = divide('attention', call.inputs[0]!, size, tile, caps);
  if ('cannot' in found) return found;
  const { type } = found.units;
  const { rows: BQ, columns: BK } = tile;
  const SUBGROUPS = found.constants.GX! * found.constants.GY!;
  const [HEAD_LINE, WEIGHT_LINE, STAGE_LINE] = [size + found.pad, BK + found.pad, Math.max(BK, size) + 4];
  const [Q_SIZE, KV_SIZE] = [BQ * HEAD_LINE, BK * HEAD_LINE];
  const [WEIGHTS, STAGE] = [BQ * WEIGHT_LINE, BQ * STAGE_LINE];
  const use = {
    kernel: 'matrix',
    wgsl: matrixWgsl,
    includes: { attention_units: unitsWgsl },
    constants: {
      ...{ ...found.constants, BQ, BK, SUBGROUPS },
      ...{ HEAD_LINE, WEIGHT_LINE, STAGE_LINE, Q_SIZE, KV_SIZE, WEIGHTS, STAGE },
    },
    types: { F: type },
    workgroups: [Math.ceil(tokens / BQ), heads, batch] as const,
  };
  const bytes = (Q_SIZE + KV_SIZE + WEIGHTS) * BYTES[type] + (STAGE + BQ + 4) * 4;
  return memoryObstacle(bytes, caps) ?? lowering(call, matrixName(tile), use, caps);
}

export const matrixVariants: readonly Variant<AttentionAttrs>[] = TILES.map((tile) => ({
  name: matrixName(tile),
  ...(tile !== SMALLEST && { sibling: matrixName(SMALLEST) }),
  lower: (call, caps) => lowerMatrix(call, tile, caps),
}));
