/** Variants of attention's gradient on matrix units: rows are queries and columns keys, then the other way round. */
import type { Capabilities } from '../../runtime/capabilities';
import type { Cannot, Lowering, Variant } from '../../runtime/op';
import { BYTES } from '../../runtime/tensor-type';
import matrixWgsl from './attention_backward_matrix.wgsl';
import unitsWgsl from './attention_backward_units.wgsl';
import { sizes } from './heads';
import { type AttentionBackwardAttrs, type AttentionBackwardCall, lowering } from './lowering-backward';
import { divide, type MatrixTile, matrixName, memoryObstacle } from './matrix-tiles';

/** The tile whose kernels are tested on every case. */
const SMALLEST: MatrixTile = {
  rows: 16,
  columns: 16,
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
    columns: 32,
    splits: [
      [2, 2],
      [1, 4],
      [1, 2],
    ],
  },
  SMALLEST,
];

function lowerMatrix(call: AttentionBackwardCall, tile: MatrixTile, caps: Capabilities): Lowering | Cannot {
  const { batch, tokens, heads, size } = sizes(call);
  const found = divide('attention_backward', call.inputs[0]!, size, tile, caps);
  if ('cannot' in found) return found;
  const { type } = found.units;
  const { rows: BR, columns: BS } = tile;
  const [HEAD_LINE, WEIGHT_LINE] = [size + found.pad, BS + found.pad];
  const [SCORE_LINE, SUM_LINE] = [BS + 4, size + 4];
  const [ROW_TILE, SLICE_TILE] = [BR * HEAD_LINE, BS * HEAD_LINE];
  const [WEIGHTS, SCORES] = [BR * WEIGHT_LINE, BR * SCORE_LINE];
  const STAGE = Math.max(2 * SCORES, BR * SUM_LINE);
  const pair = {
    queries: matrixWgsl,
    keys: matrixWgsl,
    keysFlag: 'KEYS',
    includes: { attention_backward_units: unitsWgsl },
    constants: {
      ...{ ...found.constants, BR, BS, HEAD_LINE, WEIGHT_LINE, SCORE_LINE, SUM_LINE },
      ...{ ROW_TILE, SLICE_TILE, WEIGHTS, SCORES, STAGE },
    },
    types: { F: type },
    workgroups: [Math.ceil(tokens / BR), heads, batch] as const,
  };
  const bytes = 2 * (ROW_TILE + SLICE_TILE + WEIGHTS) * BYTES[type] + STAGE * 4;
  return memoryObstacle(bytes, caps) ?? lowering(call, matrixName(tile), pair, caps);
}

export const matrixBackwardVariants: readonly Variant<AttentionBackwardAttrs>[] = TILES.map((tile) => ({
  name: matrixName(tile),
  ...(tile !== SMALLEST && { sibling: matrixName(SMALLEST) }),
  lower: (call, caps) => lowerMatrix(call, tile, caps),
}));
