import { tensorType } from '../../runtime/tensor-type';
import { type KernelCase, type OpSuite, uniformAt } from '../suite';
import { type ClassMapAttrs, classMapOp } from './class-map';
import { classMapReference } from './reference';

function classMapCase(
  stages: number,
  shape: readonly [number, number, number, number],
  [height, width]: readonly [number, number],
  { index = 1, softmaxFirst = false, scale = 4, bench = false } = {},
): KernelCase<ClassMapAttrs> {
  const order = softmaxFirst ? 'softmax first' : 'resize first';
  return {
    name: `f32 ${stages} x [${shape}] to ${height}x${width}, class ${index}, ${order}${scale > 4 ? ', large' : ''}`,
    inputs: Array.from({ length: stages }, () => tensorType('f32', shape)),
    attrs: { index, height, width, softmaxFirst },
    // Logits apart enough that the two orders differ.
    fill: (input, length) => Float64Array.from({ length }, (_, i) => scale * uniformAt(i, input)),
    bench,
  };
}

export const classMapSuite: OpSuite<ClassMapAttrs> = {
  op: classMapOp,
  reference: classMapReference,
  cases: [
    classMapCase(4, [1, 17, 17, 2], [240, 240], { bench: true }),
    classMapCase(4, [1, 17, 17, 2], [240, 240], { softmaxFirst: true, bench: true }),
    classMapCase(4, [2, 7, 5, 2], [29, 50]),
    classMapCase(4, [2, 7, 5, 2], [29, 50], { softmaxFirst: true }),
    classMapCase(1, [1, 3, 4, 3], [6, 5], { index: 2, softmaxFirst: true }),
    classMapCase(7, [2, 4, 3, 3], [5, 9], { index: 0 }),
    classMapCase(2, [1, 9, 11, 2], [4, 3]), // smaller
    classMapCase(3, [2, 1, 1, 2], [3, 4], { softmaxFirst: true }),
    classMapCase(2, [1, 3, 1, 1], [1, 5], { index: 0 }),
    classMapCase(2, [1, 5, 5, 2], [8, 8], { scale: 120 }), // exp alone would overflow
    classMapCase(2, [1, 5, 5, 2], [8, 8], { scale: 120, softmaxFirst: true }),
  ],
};
