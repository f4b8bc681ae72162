import type { OpCall } from '../../runtime/op';
import { tensorType } from '../../runtime/tensor-type';
import { classSumReference } from '../class-sum/reference';
import { resizeBilinearReference } from '../resize-bilinear/reference';
import { softmaxReference } from '../softmax/reference';
import type { ClassMapAttrs } from './class-map';

/** The ops that it is made of, one after another. */
export function classMapReference(
  xs: readonly Float64Array[],
  { inputs, attrs }: OpCall<ClassMapAttrs>,
): Float64Array[] {
  const { index, height, width, softmaxFirst } = attrs;
  const [batch, , , classes] = inputs[0]!.shape as [number, number, number, number];
  const large = tensorType('f32', [batch, height, width, classes]);
  const resize = (x: Float64Array) =>
    resizeBilinearReference([x], { inputs: [inputs[0]!], outputs: [large], attrs: { height, width } })[0]!;
  const softmax = (x: Float64Array, type = large) =>
    softmaxReference([x], { inputs: [type], outputs: [type], attrs: null })[0]!;
  const maps = xs.map((x) => (softmaxFirst ? resize(softmax(x, inputs[0]!)) : softmax(resize(x))));
  return classSumReference(maps, {
    inputs: maps.map(() => large),
    outputs: [tensorType('f32', [batch, height, width])],
    attrs: { index },
  });
}
