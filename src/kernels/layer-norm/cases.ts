import { type Dtype, tensorType } from '../../runtime/tensor-type';
import type { KernelCase, OpSuite } from '../suite';
import { type LayerNormAttrs, layerNormOp } from './layer-norm';
import { layerNormBackwardOp } from './layer-norm-backward';
import { layerNormBackwardReference, layerNormReference } from './reference';

function layerNormCase(dtype: Dtype, shape: number[], bench = false): KernelCase<LayerNormAttrs> {
  const cols = shape.at(-1)!;
  return {
    name: `${dtype} [${shape}]`,
    inputs: [tensorType(dtype, shape), tensorType('f32', [cols]), tensorType('f32', [cols])],
    attrs: { eps: 1e-5 },
    // A large mean shows a one-pass variance.
    fill: (index, length) =>
      index === 0 ? Float64Array.from({ length }, (_, i) => 3 + Math.sin(i * 1.7)) : undefined,
    bench,
  };
}

export const layerNormSuite: OpSuite<LayerNormAttrs> = {
  op: layerNormOp,
  reference: layerNormReference,
  shaped: { axes: ['...'], make: (sizes, dtype) => layerNormCase(dtype, [...sizes]) },
  differentiable: [0],
  cases: [
    layerNormCase('f32', [1, 290, 1024], true),
    layerNormCase('f32', [2, 77, 768]),
    layerNormCase('f32', [50, 128]),
    layerNormCase('f32', [3, 7]),
    layerNormCase('f32', [70000, 4]),
    layerNormCase('f16', [5, 77, 192]),
    layerNormCase('f16', [3, 7]),
  ],
};

function backwardCase(
  dtype: Dtype,
  shape: number[],
  options: { addend?: boolean; bench?: boolean } = {},
): KernelCase<LayerNormAttrs> {
  const { addend = false, bench = false } = options;
  const x = tensorType(dtype, shape);
  return {
    ...layerNormCase(dtype, shape, bench),
    name: `${dtype} [${shape}]${addend ? ' plus addend' : ''}`,
    inputs: [x, tensorType('f32', [shape.at(-1)!]), x, ...(addend ? [x] : [])],
  };
}

export const layerNormBackwardSuite: OpSuite<LayerNormAttrs> = {
  op: layerNormBackwardOp,
  reference: layerNormBackwardReference,
  shaped: {
    axes: ['...'],
    choices: { addend: 'flag' },
    make: (sizes, dtype, { addend }) => backwardCase(dtype, [...sizes], { addend: addend === true }),
  },
  cases: [
    backwardCase('f32', [1, 290, 1024], { addend: true, bench: true }),
    backwardCase('f32', [2, 77, 768]),
    backwardCase('f32', [50, 128], { addend: true }),
    backwardCase('f32', [3, 7]),
    backwardCase('f32', [5, 7], { addend: true }),
    backwardCase('f32', [70000, 4]),
    backwardCase('f16', [5, 77, 192], { addend: true }),
    backwardCase('f16', [3, 7]),
  ],
};
