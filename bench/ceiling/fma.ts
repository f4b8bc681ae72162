/** The arithmetic ceiling: chains of multiply-adds in registers. A bench-only op, so that the engine runs and times it. */
import type { KernelCase, OpSuite } from '../../src/kernels/suite';
import { ShapeError } from '../../src/runtime/errors';
import type { Op } from '../../src/runtime/op';
import { sizeOf, tensorType } from '../../src/runtime/tensor-type';
import wgsl from './fma.wgsl';

export interface FmaAttrs {
  readonly dtype: 'f32' | 'f16';
  /** Independent chains of vec4 in an invocation. */
  readonly chains: number;
  /** WGSL's fma(), or a product and a sum that the compiler may fuse. */
  readonly fused: boolean;
  /** Multiple of 64. */
  readonly invocations: number;
  /** Steps of each chain; multiple of 4; at most 1024, so that f16 counts exactly. */
  readonly steps: number;
}

const UNROLL = 4;

export const fmaOp: Op<FmaAttrs> = {
  name: 'fma',
  infer([x], { invocations, steps }) {
    if (!x || sizeOf(x) !== 2) throw new ShapeError('fma takes factor and addend.');
    if (invocations % 64 !== 0 || steps % UNROLL !== 0) {
      throw new ShapeError(`fma: ${invocations} invocations of ${steps} steps are not whole workgroups.`);
    }
    return [tensorType('f32', [invocations])];
  },
  variants: [
    {
      name: 'registers',
      lower: ({ attrs: { dtype, chains, fused, invocations, steps } }) => ({
        variant: 'registers',
        dispatches: [
          {
            kernel: { name: 'fma', wgsl },
            constants: { CHAINS: chains, ITERATIONS: steps / UNROLL, UNROLL },
            types: { T: dtype },
            flags: fused ? ['FUSED'] : [],
            bindings: { x: { input: 0 }, y: { output: 0 } },
            workgroups: [invocations / 64, 1, 1],
          },
        ],
      }),
    },
  ],
  choose: () => 'registers',
  flops: ({ attrs }) => 2 * 4 * attrs.chains * attrs.steps * attrs.invocations,
};

function fmaCase(attrs: FmaAttrs): KernelCase<FmaAttrs> {
  return {
    name: `${attrs.dtype} ${attrs.fused ? 'fma' : 'mul+add'} x${4 * attrs.chains}`,
    inputs: [tensorType('f32', [2])],
    attrs,
    fill: () => [1, 1],
    bench: true,
  };
}

/** How many chains fill a device's pipelines, and how many spill its registers, is for the device to show. */
export function fmaSuite(software: boolean, f16: boolean): OpSuite<FmaAttrs> {
  // Milliseconds of work on either kind of device.
  const size = software ? { invocations: 8192, steps: 512 } : { invocations: 1024 * 1024, steps: 1024 };
  const shapes = [
    { chains: 1, fused: true },
    { chains: 2, fused: true },
    { chains: 4, fused: true },
    { chains: 2, fused: false },
  ];
  const dtypes = f16 ? (['f32', 'f16'] as const) : (['f32'] as const);
  return {
    op: fmaOp,
    reference: ([x], { attrs: { chains, invocations, steps } }) => {
      const [factor, addend] = [x![0]!, x![1]!];
      const after = (start: number) => {
        let value = start;
        for (let s = 0; s < steps; s++) value = value * factor + addend;
        return value;
      };
      const ends = Float64Array.from({ length: 64 + 4 * chains }, (_, start) => after(start));
      const sums = Float64Array.from({ length: 64 }, (_, lane) =>
        ends.subarray(lane, lane + 4 * chains).reduce((sum, value) => sum + value, 0),
      );
      return [Float64Array.from({ length: invocations }, (_, id) => sums[id % 64]!)];
    },
    cases: dtypes.flatMap((dtype) => shapes.map((shape) => fmaCase({ dtype, ...shape, ...size }))),
  };
}
