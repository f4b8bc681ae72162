/** Compares what a variant computes with the float64 reference: all of it, or rows of it where all would take minutes. */
import type { Part } from '../../src/kernels/suite';
import type { Tolerance } from '../../src/kernels/tolerance';
import type { Gpu } from '../../src/runtime/device';
import type { InputData, OutputData } from '../../src/runtime/executable';
import type { Op, OpCall } from '../../src/runtime/op';
import { describe, sizeOf, type TensorType } from '../../src/runtime/tensor-type';
import {
  type AnyCase,
  type AnySuite,
  callOf,
  operandsOf,
  runCase,
  sameBits,
  toleranceOf,
} from '../../test/kernels/run-case';

export interface Verdict {
  /** Elements compared with the reference, of all that there are. */
  readonly compared: number;
  readonly elements: number;
  /** Largest |got - want|. */
  readonly maxError: number;
  /** Largest |got - want| / (atol + rtol |want|): up to 1 is within the tolerance of the tests. */
  readonly worst: number;
  /** The first wrong element in words. */
  readonly wrong?: string;
}

/** The plain loop of a reference: about a second for this many operations. */
const FLOPS_OF_A_SECOND = 3e8;

/** A case with what is compared: made once, for all variants. */
export interface Subject {
  readonly suite: AnySuite;
  readonly case: AnyCase;
  readonly call: OpCall<unknown>;
  readonly operands: readonly InputData[];
  /** Values of each result, and where each stands in it: undefined, all in order. */
  readonly want: readonly Float64Array[];
  readonly at: readonly ((i: number) => number)[] | undefined;
}

export function subjectOf(suite: AnySuite, one: AnyCase): Subject {
  const call = callOf(suite, one);
  const operands = operandsOf(one);
  const rows = suite.rows;
  const count = rows?.count(call) ?? 0;
  const some = Math.max(1, Math.floor((FLOPS_OF_A_SECOND * count) / suite.op.flops(call)));
  const base = { suite, case: one, call, operands };
  if (!rows || some >= count) {
    const whole = operands.map((values) => Float64Array.from(values));
    return { ...base, want: suite.reference(whole, call), at: undefined };
  }
  const part = rows.part(call, spread(count, some));
  return {
    ...base,
    want: suite.reference(gather(part, operands), {
      ...part,
      outputs: suite.op.infer(part.inputs, part.attrs),
    }),
    at: part.to,
  };
}

/** `some` of `count` rows: the first, the last, and between them steps of the golden ratio, so that no tile's place is missed for long. */
export function spread(count: number, some: number): number[] {
  const chosen = new Set([0, count - 1].slice(0, some));
  const step = (Math.sqrt(5) - 1) / 2;
  for (let i = 1; chosen.size < some; i++) chosen.add(Math.floor(((i * step) % 1) * count));
  return [...chosen].sort((a, b) => a - b);
}

function gather(part: Part<unknown>, operands: readonly InputData[]): Float64Array[] {
  return part.inputs.map((type, k) => {
    const from = part.from[k];
    const values = operands[k]!;
    if (!from) return Float64Array.from(values);
    const out = new Float64Array(sizeOf(type));
    for (let i = 0; i < out.length; i++) out[i] = values[from(i)]!;
    return out;
  });
}

/** Runs a variant twice on results full of NaN and compares. `op` may have more variants than the subject's. */
export async function verify(gpu: Gpu, op: Op<unknown>, subject: Subject, variant: string): Promise<Verdict> {
  const { outputs, again } = await runCase(gpu, op, subject.case, variant, gpu.caps, subject.operands);
  return judge(op, subject, outputs, again);
}

/** Right, and the same again bit by bit: nothing here may depend on time. */
export function judge(
  op: Op<unknown>,
  subject: Subject,
  outputs: readonly OutputData[],
  again: readonly OutputData[],
): Verdict {
  const verdict = compare(op, subject, outputs);
  if (verdict.wrong) return verdict;
  const unlike = outputs.findIndex((values, k) => !sameBits(values, again[k]!));
  if (unlike < 0) return verdict;
  const at = outputs[unlike]!.findIndex((value, i) => !Object.is(value, again[unlike]![i]));
  const type = resultTypes(op, subject.call)[unlike]!;
  return {
    ...verdict,
    wrong: `two runs differ, first ${place(type, unlike, at)}: a race, or memory that is not set`,
  };
}

/** @param outputs of the subject's call, in full. */
export function compare(op: Op<unknown>, subject: Subject, outputs: readonly OutputData[]): Verdict {
  const { call, want, at } = subject;
  const types = resultTypes(op, call);
  let compared = 0;
  let maxError = 0;
  let worst = 0;
  let wrong: string | undefined;
  for (const [k, type] of types.entries()) {
    const got = outputs[k]!;
    const { atol, rtol } = toleranceOf(call, type);
    if (!wrong && got.length !== sizeOf(type))
      wrong = `result ${k} has ${got.length} elements, not ${sizeOf(type)}`;
    for (let i = 0; i < want[k]!.length; i++) {
      const where = at ? at[k]!(i) : i;
      const w = want[k]![i]!;
      const error = Math.abs(got[where]! - w);
      const share = error / (atol + rtol * Math.abs(w) || Number.MIN_VALUE);
      compared++;
      if (!(error <= maxError)) maxError = Number.isNaN(maxError) ? maxError : error;
      if (!(share <= worst)) worst = Number.isNaN(worst) ? worst : share;
      if (!wrong && !(error <= atol + rtol * Math.abs(w)))
        wrong = inWords(place(type, k, where), got[where]!, w, { atol, rtol });
    }
    // Rows that were not compared must at least be written.
    const unwritten = at && !wrong ? got.findIndex((value) => Number.isNaN(value)) : -1;
    if (unwritten >= 0) wrong = `${place(type, k, unwritten)} is NaN: ${UNWRITTEN}`;
  }
  const elements = types.reduce((sum, type) => sum + sizeOf(type), 0);
  return { compared, elements, maxError, worst, ...(wrong && { wrong }) };
}

const UNWRITTEN = 'perhaps it was never written (results are full of NaN before a run)';

function inWords(where: string, got: number, want: number, { atol, rtol }: Tolerance): string {
  const allowed = (atol + rtol * Math.abs(want)).toPrecision(2);
  return `${where}: got ${got}, wanted ${want} within ${allowed}${Number.isNaN(got) ? `; ${UNWRITTEN}` : ''}`;
}

/** An element as people count it: "result 0 f32[3,7] at [1,2] (element 9)". */
function place(type: TensorType, result: number, index: number): string {
  const coordinates: number[] = [];
  let rest = index;
  for (const size of [...type.shape].reverse()) {
    coordinates.unshift(rest % size);
    rest = Math.floor(rest / size);
  }
  return `result ${result} ${describe(type)} at [${coordinates}] (element ${index})`;
}

function resultTypes(op: Op<unknown>, call: OpCall<unknown>): readonly TensorType[] {
  return op.writes ? op.writes.map((i) => call.inputs[i]!) : call.outputs;
}
