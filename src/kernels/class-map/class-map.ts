/**
 * From the stages' logits to one map (MLA-LP, eq. 8-10), in one pass: with R the bilinear resize with aligned corners
 * (`../resize-bilinear`) and softmax over the classes,
 *   y[b, i, j] = sum_s softmax(R x_s[b, i, j])_c          `softmaxFirst` false: the authors' order
 *   y[b, i, j] = sum_s R softmax(x_s)[b, i, j, c]         true: the paper's
 *
 * Operands: 1 to 7 tensors f32 [B, h, w, K] of one shape (with the result, the eight storage buffers that every device has), sides up
 * to 65535. Result: y f32 [B, H, W]. No backward: training needs each stage's map by itself.
 *
 * Instead of a resize, a softmax and a share of a sum a stage: ViT-L/14 at 240 px, 4 stages, 1 dispatch instead of 9 and 0.24 MB
 * instead of 7.6 MB an image.
 */
import { foldGrid } from '../../runtime/capabilities';
import { ShapeError } from '../../runtime/errors';
import type { Graph, Tensor } from '../../runtime/graph';
import type { Op, Operand } from '../../runtime/op';
import { describe, sizeOf, tensorType } from '../../runtime/tensor-type';
import tap from '../resize-bilinear/resize_tap.wgsl';
import wgsl from './class_map.wgsl';
import stageWgsl from './class_map_stage.wgsl';

export interface ClassMapAttrs {
  /** Class to show, from 0. */
  readonly index: number;
  readonly height: number;
  readonly width: number;
  /** Probabilities are resized; else logits are. */
  readonly softmaxFirst: boolean;
}

const MOST = 7;
/** Most classes: an invocation keeps four logits of each in registers. */
const MOST_CLASSES = 256;
/** Largest sides: the taps multiply two sizes in 32 bits. */
const LONGEST = 65535;

/** The functions of stage `index`, which reads the binding of its number. */
function stageText(index: number): string {
  return stageWgsl.replace(/\b(x|stage)0\b/g, `$1${index}`);
}

export const classMapOp: Op<ClassMapAttrs> = {
  name: 'class_map',

  infer(xs, { index, height, width }) {
    const [first] = xs;
    if (!first || xs.length > MOST) {
      throw new ShapeError(`class_map takes 1 to ${MOST} tensors, not ${xs.length}.`);
    }
    if (
      first.dtype !== 'f32' ||
      first.shape.length !== 4 ||
      xs.some((x) => describe(x) !== describe(first))
    ) {
      throw new ShapeError('class_map: all tensors must be f32 [B, h, w, K] of one shape.');
    }
    const [batch, h, w, classes] = first.shape as [number, number, number, number];
    if (classes > MOST_CLASSES) {
      throw new ShapeError(`class_map: ${describe(first)} has more than ${MOST_CLASSES} classes.`);
    }
    if (!Number.isSafeInteger(index) || index < 0 || index >= classes) {
      throw new ShapeError(`class_map: ${describe(first)} has no class ${index}.`);
    }
    if (Math.max(h, w, height, width) > LONGEST) {
      throw new ShapeError(`class_map: sides are at most ${LONGEST}, not ${h}x${w} to ${height}x${width}.`);
    }
    return [tensorType('f32', [batch, height, width])];
  },

  variants: [
    {
      name: 'plain',
      lower({ inputs, outputs, attrs }, caps) {
        const [, H_IN, W_IN, K] = inputs[0]!.shape as [number, number, number, number];
        const COUNT = sizeOf(outputs[0]!);
        const bindings: Record<string, Operand> = { y: { output: 0 } };
        inputs.forEach((_, i) => {
          bindings[`x${i}`] = { input: i };
        });
        const stages = inputs.map((_, i) => stageText(i)).join('\n');
        return {
          variant: 'plain',
          dispatches: [
            {
              kernel: { name: 'class_map', wgsl, includes: { tap, stages } },
              constants: {
                COUNT,
                K,
                CLASS: attrs.index,
                H_IN,
                W_IN,
                H_OUT: attrs.height,
                W_OUT: attrs.width,
              },
              flags: [
                ...inputs.slice(1).map((_, i) => `X${i + 1}`),
                ...(attrs.softmaxFirst ? ['SOFTMAX_FIRST'] : []),
              ],
              bindings,
              workgroups: foldGrid(Math.ceil(COUNT / 64), caps),
            },
          ],
        };
      },
    },
  ],

  choose: () => 'plain',

  // Per stage and class: four taps blended (9) and an exponential's share of the softmax (5).
  flops: ({ inputs, outputs }) => 14 * inputs.length * inputs[0]!.shape[3]! * sizeOf(outputs[0]!),
};

/** Sum over stages of the probability of class `index` at height x width; 1 to 7 tensors of logits f32 [B, h, w, K] -> f32 [B, H, W]. */
export function classMap(g: Graph, logits: readonly Tensor[], attrs: ClassMapAttrs): Tensor {
  return g.apply(classMapOp, logits, attrs)[0]!;
}
