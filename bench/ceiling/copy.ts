/** The memory ceiling: y = x. A bench-only op. */
import { type OpSuite, uniformAt } from '../../src/kernels/suite';
import { foldGrid } from '../../src/runtime/capabilities';
import { ShapeError } from '../../src/runtime/errors';
import type { Op } from '../../src/runtime/op';
import { sizeOf, tensorType } from '../../src/runtime/tensor-type';
import wgsl from './copy.wgsl';

function variant(per: number): Op<null>['variants'][number] {
  const name = `${per} vec4`;
  return {
    name,
    lower({ inputs }, caps) {
      const length = sizeOf(inputs[0]!) / 4;
      return {
        variant: name,
        dispatches: [
          {
            kernel: { name: 'copy', wgsl },
            constants: { LENGTH: length, PER: per },
            bindings: { x: { input: 0 }, y: { output: 0 } },
            workgroups: foldGrid(Math.ceil(length / (64 * per)), caps),
          },
        ],
      };
    },
  };
}

export const copyOp: Op<null> = {
  name: 'copy',
  infer([x]) {
    if (x?.dtype !== 'f32' || sizeOf(x) % 4 !== 0) throw new ShapeError('copy takes f32 in fours.');
    return [x];
  },
  variants: [variant(1), variant(8)],
  choose: () => '1 vec4',
  flops: () => 0,
};

/** Larger than caches: 16 MiB each way for CPUs, 128 MiB (the portable limit of a binding) on a GPU. */
export function copySuite(software: boolean): OpSuite<null> {
  const mebibytes = software ? 16 : 128;
  return {
    op: copyOp,
    reference: ([x]) => [x!],
    cases: [
      {
        name: `f32 ${mebibytes} MiB`,
        inputs: [tensorType('f32', [mebibytes * 1024 * 256])],
        attrs: null,
        // A plain loop: millions of values.
        fill: (_index, length) => {
          const values = new Float64Array(length);
          for (let i = 0; i < length; i++) values[i] = uniformAt(i);
          return values;
        },
        bench: true,
      },
    ],
  };
}
