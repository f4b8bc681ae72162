import { type Dtype, tensorType } from '../../runtime/tensor-type';
import type { KernelCase, OpSuite } from '../suite';
import { type LayerNormAttrs, layerNormOp } from './layer-norm';
import { layerNormReference } from './reference';

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
