/** Runs one case of an op's table on a device and compares with the float64 reference. */
import { type KernelCase, type OpSuite, uniformAt } from '../../src/kernels/suite';
import { firstMismatch, TOLERANCE } from '../../src/kernels/tolerance';
import { BufferStore } from '../../src/runtime/buffer-store';
import type { Gpu } from '../../src/runtime/device';
import { Executable, type InputData, type OutputData } from '../../src/runtime/executable';
import { decodeF16, encodeF16 } from '../../src/runtime/float16';
import { Graph } from '../../src/runtime/graph';
import type { Lowering, Op, OpCall } from '../../src/runtime/op';
import { plan } from '../../src/runtime/plan';
import { type Dtype, sizeOf, type TensorType } from '../../src/runtime/tensor-type';

export type AnySuite = OpSuite<unknown>;
export type AnyCase = KernelCase<unknown>;

/** Cases of more FLOPs than this run only in the full tests. */
export const FLOPS_IN_TESTS = 1e8;

export function callOf(suite: AnySuite, one: AnyCase): OpCall<unknown> {
  return { inputs: one.inputs, outputs: suite.op.infer(one.inputs, one.attrs), attrs: one.attrs };
}

export function usesF16(call: OpCall<unknown>): boolean {
  return [...call.inputs, ...call.outputs].some((t) => t.dtype === 'f16');
}

/** Software adapters take about a millisecond for each workgroup that has barriers: more than these wait for a GPU. */
const WORKGROUPS_ON_SOFTWARE = 1000;

/** lavapipe's LLVM takes 40 s and more for these, the register kernels with heads above 64 (Mesa 25, November 2026). */
const compilesSlowly = ({ kernel, constants }: Lowering['dispatches'][number]) =>
  /^attention_backward_(tiled|blocked)/.test(kernel.name) ||
  (/^attention_backward_(quads|registers)/.test(kernel.name) && Number(constants?.QUADS) > 16);

/**
 * SwiftShader compiles these for 1.5 to 15 s, Mesa 26's lavapipe attention on its matrix units for 15 (November 2026): `npm test` leaves
 * them to the slow tests, but for marked cases.
 */
export const compilesForSeconds = ({ dispatches }: Lowering): boolean =>
  dispatches.some(
    ({ kernel, constants }) =>
      /^attention_(backward_)?(blocked|matrix)/.test(kernel.name) ||
      kernel.name === 'gemm_tiled' ||
      (kernel.name.startsWith('attention_backward_tiled') && Number(constants?.QUADS) > 8),
  );

/** Why a variant is not tried on this device though it could run; undefined when it is. */
export function skipReason(gpu: Gpu, call: OpCall<unknown>, lowering: Lowering): string | undefined {
  if (usesF16(call) && !gpu.caps.f16) return `${gpu.name} has no shader-f16`;
  if (gpu.caps.software && gpu.caps.subgroupMaxSize >= 8 && lowering.dispatches.some(compilesSlowly))
    return `${gpu.name} takes a minute to compile it; SwiftShader checks it`;
  const workgroups = lowering.dispatches
    .filter(({ kernel }) => kernel.wgsl.includes('workgroupBarrier'))
    .reduce((sum, { workgroups: [x, y, z] }) => sum + x * y * z, 0);
  return gpu.caps.software && workgroups > WORKGROUPS_ON_SOFTWARE
    ? `${workgroups} workgroups with barriers are too slow on ${gpu.name}`
    : undefined;
}

/** Operand values as they are stored: rounded to f32 or f16. */
export function operandsOf(one: AnyCase): InputData[] {
  return one.inputs.map((type, index) => {
    const length = sizeOf(type);
    const given = one.fill?.(index, length);
    if (type.dtype === 'u32') return Uint32Array.from(given!);
    const values = Float32Array.from(given ?? { length }, (v, i) =>
      given ? (v as number) : uniformAt(i, index),
    );
    return type.dtype === 'f16' ? decodeF16(encodeF16(values)) : values;
  });
}

export function referenceOf(suite: AnySuite, one: AnyCase): Float64Array[] {
  const operands = operandsOf(one).map((values) => Float64Array.from(values));
  return suite.reference(operands, callOf(suite, one));
}

export interface CaseRun {
  readonly outputs: readonly OutputData[];
  /** Of a second run of the same executable. */
  readonly again: readonly OutputData[];
}

/**
 * Runs a case twice, intermediates filled with NaN before each run. `op` may be a broken twin of the suite's; `caps` may
 * be poorer than the device's; `operands` are the case's own, made once for several runs.
 */
export async function runCase(
  gpu: Gpu,
  op: Op<unknown>,
  one: AnyCase,
  variant: string,
  caps = gpu.caps,
  operands: readonly InputData[] = operandsOf(one),
): Promise<CaseRun> {
  const g = new Graph();
  const written = new Set(op.writes ?? []);
  const inputs = one.inputs.map((type, i) =>
    written.has(i) ? g.weight(`x${i}`, type.dtype, type.shape) : g.input(`x${i}`, type.dtype, type.shape),
  );
  const results = g.apply(op, inputs, one.attrs);
  results.forEach((tensor, i) => {
    g.output(`y${i}`, tensor);
  });
  const store = new BufferStore(gpu);
  for (const i of written) await store.create(`x${i}`, one.inputs[i]!);
  const chosen = plan(g, caps, { variants: { [op.name]: variant } });
  const executable = await Executable.compile(gpu, chosen, store, { poison: true });
  const data = Object.fromEntries(
    operands.flatMap((values, i) => (written.has(i) ? [] : [[`x${i}`, values] as const])),
  );
  const once = async (): Promise<OutputData[]> => {
    for (const i of written) await store.write(`x${i}`, Float32Array.from(operands[i]!));
    const found = await executable.run(data);
    if (written.size === 0) return results.map((_, i) => found[`y${i}`]!);
    return Promise.all([...written].map((i) => store.read(`x${i}`)));
  };
  try {
    return { outputs: await once(), again: await once() };
  } finally {
    executable.destroy();
    store.destroy();
  }
}

/** Whether two outputs are equal bit by bit (expect's own comparison takes seconds for a million elements). */
export function sameBits(a: OutputData, b: OutputData): boolean {
  const [one, other] = [a, b].map((v) => new Uint32Array(v.buffer, v.byteOffset, v.length));
  return a.length === b.length && one!.every((bits, i) => bits === other![i]);
}

/** f16 anywhere in a call allows for the rounding of stored operands and results. */
export function toleranceOf(call: OpCall<unknown>, output: TensorType) {
  const dtype: Dtype = usesF16(call) ? 'f16' : output.dtype;
  return TOLERANCE[dtype];
}

/** The first wrong element of any output, in words; undefined when all are right. */
export function mismatchOf(
  op: Op<unknown>,
  call: OpCall<unknown>,
  got: readonly ArrayLike<number>[],
  want: readonly ArrayLike<number>[],
): string | undefined {
  const types = op.writes ? op.writes.map((i) => call.inputs[i]!) : call.outputs;
  for (const [i, type] of types.entries()) {
    const wrong = firstMismatch(got[i]!, want[i]!, toleranceOf(call, type));
    if (wrong) return `output ${i}, element ${wrong.index}: got ${wrong.got}, want ${wrong.want}`;
  }
  return undefined;
}
