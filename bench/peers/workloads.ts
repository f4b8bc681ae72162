/** What every engine computes: sizes, operands and names, the same in all processes. */
import { uniformAt } from '../../src/kernels/suite';
import { type ClipConfig, gridFor, readClipConfig } from '../../src/model/clip-config';
import { AUTHORS } from '../../src/model/presets';
import { syntheticClip } from '../../src/model/synthetic';
import { transformerBlock } from '../../src/model/transformer';
import { embedImages, visionBlock } from '../../src/model/vision-tower';
import type { Precision } from '../../src/runtime/device';
import { OptionError } from '../../src/runtime/errors';
import { Graph, type Tensor } from '../../src/runtime/graph';

/** y [rows, columns] = x [rows, depth] w [depth, columns]; w is a resident weight, in the layout that an engine likes best. */
export interface GemmWork {
  readonly kind: 'gemm';
  readonly rows: number;
  readonly depth: number;
  readonly columns: number;
}

interface VisionWork {
  /** Stand-in weights. */
  readonly model: string;
  readonly imageSize: number;
  readonly batch: number;
}

/** One block of the image tower: y [batch, tokens, width] = block 0 of x; repetitions take the last one's result. */
export interface BlockWork extends VisionWork {
  readonly kind: 'block';
}

/** Images from the host to the tokens after the last block; the class tokens [batch, width] are read back. */
export interface TowerWork extends VisionWork {
  readonly kind: 'tower';
  /** Its first blocks alone; all without it. */
  readonly layers?: number;
}

export type Work = GemmWork | BlockWork | TowerWork;
export type WorkKind = Work['kind'];
export const KINDS: readonly WorkKind[] = ['gemm', 'block', 'tower'];

export function nameOf(work: Work): string {
  if (work.kind === 'gemm') return `gemm ${work.rows}x${work.depth}x${work.columns}`;
  const { model, imageSize, batch } = work;
  const more =
    work.kind === 'block'
      ? `, ${sizesOf(work).tokens} tokens`
      : work.layers
        ? `, ${work.layers} of ${sizesOf({ model, imageSize }).layers} blocks`
        : '';
  return `${work.kind} ${model} ${imageSize} px${more}, batch ${batch}`;
}

export interface Choice {
  readonly kinds: readonly WorkKind[];
  readonly batches: readonly number[];
  readonly model: string;
  readonly imageSize: number;
  /** Of the tower; all without it. */
  readonly layers?: number;
}

/**
 * The GEMMs of a block and its adapters, a block, the tower; each at every batch.
 * @throws OptionError for more layers than the model has.
 */
export function worksOf({ kinds, batches, model, imageSize, layers }: Choice): Work[] {
  const { tokens, width, mlp, embed, layers: most } = sizesOf({ model, imageSize });
  if (layers && layers > most) {
    const fact = `${model} has ${most} blocks, not ${layers}.`;
    throw new OptionError(fact, `Give --layers 1 to ${most}.`);
  }
  const some = layers && layers < most ? { layers } : {};
  const matrices = [
    [width, 3 * width],
    [width, width],
    [width, mlp],
    [mlp, width],
    [width, embed],
  ] as const;
  const works: Record<WorkKind, (batch: number) => Work[]> = {
    gemm: (batch) =>
      matrices.map(([depth, columns]) => ({ kind: 'gemm', rows: batch * tokens, depth, columns })),
    block: (batch) => [{ kind: 'block', model, imageSize, batch }],
    tower: (batch) => [{ kind: 'tower', model, imageSize, batch, ...some }],
  };
  return kinds.flatMap((kind) => batches.flatMap((batch) => works[kind](batch)));
}

export interface VisionSizes extends ClipConfig {
  readonly grid: number;
  /** Class token included. */
  readonly tokens: number;
}

export function sizesOf({
  model,
  imageSize,
  layers,
}: Pick<VisionWork, 'model' | 'imageSize'> & Pick<TowerWork, 'layers'>): VisionSizes {
  const config = readClipConfig(syntheticClip(model));
  const grid = gridFor(config, imageSize);
  return { ...config, layers: layers ?? config.layers, grid, tokens: 1 + grid * grid };
}

/** The variable operand: x of a GEMM or a block, the images (0..1) of a tower. */
export function operandOf(work: Work): { readonly shape: readonly number[]; readonly values: Float32Array } {
  if (work.kind === 'tower') {
    const shape = [work.batch, 3, work.imageSize, work.imageSize];
    return { shape, values: fill(shape, (i) => (uniformAt(i, 3) + 1) / 2) };
  }
  const sizes = work.kind === 'block' ? sizesOf(work) : undefined;
  const shape = work.kind === 'gemm' ? [work.rows, work.depth] : [work.batch, sizes!.tokens, sizes!.width];
  return { shape, values: fill(shape, (i) => uniformAt(i, 1)) };
}

/** w [depth, columns] of a GEMM: keeps y about as large as x. */
export function gemmWeight({ depth, columns }: GemmWork): Float32Array {
  const scale = Math.sqrt(3 / depth);
  return fill([depth, columns], (i) => scale * uniformAt(i, 2));
}

/** Shape of the result that engines are compared by. */
export function resultShape(work: Work): number[] {
  if (work.kind === 'gemm') return [work.rows, work.columns];
  const { tokens, width } = sizesOf(work);
  return [work.batch, tokens, width];
}

/** Our block or tower on `x`: its result [batch, tokens, width]. */
export function visionGraph(g: Graph, x: Tensor, work: BlockWork | TowerWork, dtype: Precision): Tensor {
  const config = sizesOf(work);
  const options = { config, activation: AUTHORS.activation, dtype };
  if (work.kind === 'block') {
    const { width, heads, mlp } = config;
    return transformerBlock(g, x, BLOCK_PREFIX, { ...options, width, heads, mlp, causal: false });
  }
  let y = embedImages(g, x, options);
  for (let i = 0; i < config.layers; i++) y = visionBlock(g, y, i, options);
  return y;
}

/** Names and shapes of the weights that a block or tower reads. */
export function visionWeights(work: BlockWork | TowerWork): Graph['weights'] {
  const g = new Graph();
  const shape = work.kind === 'block' ? resultShape(work) : operandOf({ ...work, batch: 1 }).shape;
  visionGraph(g, g.input('x', 'f32', [...shape]), work, 'f32');
  return g.weights;
}

export const BLOCK_PREFIX = 'visual.transformer.resblocks.0.';

function fill(shape: readonly number[], value: (i: number) => number): Float32Array {
  return Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => value(i));
}

/** [rows, columns] to [columns, rows]. */
export function transpose(values: Float32Array, rows: number, columns: number): Float32Array<ArrayBuffer> {
  const turned = new Float32Array(values.length);
  for (let r = 0; r < rows; r++)
    for (let c = 0; c < columns; c++) turned[c * rows + r] = values[r * columns + c]!;
  return turned;
}
