/** An op y = 2 x in four variants of known speed and truth: what a tuner must find, and what it must not take. */
import { type OpSuite, uniformAt } from '../../src/kernels/suite';
import type { Capabilities } from '../../src/runtime/capabilities';
import type { Lowering, Op, OpCall } from '../../src/runtime/op';
import { sizeOf, type TensorType } from '../../src/runtime/tensor-type';

const wgsl = (rounds: number, factor: string) => `
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
override SIZE: u32 = 1u;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x >= SIZE) {
    return;
  }
  var sum: f32 = 0.0;
  for (var i: u32 = 0u; i < ${rounds}u; i++) {
    // The loop cannot be left out: what it adds depends on memory.
    sum = select(sum, sum + x[(id.x + i) % SIZE], x[i % SIZE] > 2.0);
  }
  y[id.x] = ${factor} * x[id.x] + sum;
}`;

function variant(name: string, rounds: number, factor = '2.0', cannot?: (call: OpCall<null>) => boolean) {
  return {
    name,
    lower(call: OpCall<null>, _caps: Capabilities): Lowering | { cannot: string } {
      if (cannot?.(call)) return { cannot: 'it is a test' };
      const size = sizeOf(call.inputs[0]!);
      return {
        variant: name,
        dispatches: [
          {
            kernel: { name: `double_${name}`, wgsl: wgsl(rounds, factor) },
            constants: { SIZE: size },
            bindings: { x: { input: 0 }, y: { output: 0 } },
            workgroups: [Math.ceil(size / 64), 1, 1],
          },
        ],
      };
    },
  };
}

/** `slow` is what it chooses and does `rounds` rounds for nothing; `fast` does one; `wrong` is as fast; `never` cannot run. */
export function doubleOp(rounds: number): Op<null> {
  return {
    name: 'double',
    infer: ([x]) => [x!],
    variants: [
      variant('slow', rounds),
      variant('fast', 1),
      variant('wrong', 1, '2.001'),
      variant('never', 1, '2.0', () => true),
    ],
    choose: () => 'slow',
    flops: ({ inputs }) => rounds * sizeOf(inputs[0]!),
  };
}

export function doubleSuite(op: Op<null>, types: readonly TensorType[]): OpSuite<null> {
  return {
    op,
    reference: ([x]) => [x!.map((value) => 2 * value)],
    cases: types.map((type) => ({ name: `double ${type.shape}`, inputs: [type], attrs: null })),
  };
}

export const ramp = (length: number) => Float32Array.from({ length }, (_, i) => uniformAt(i));
