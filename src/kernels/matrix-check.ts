/**
 * Asks a device whether its matrix units do what they say before a model relies on them: they are an experimental feature, whose
 * drivers nobody here has seen all of. Small calls, for each tile size (they may take other configurations): products in each pair of
 * layouts that a model and its training have, attention and its gradient.
 */
import { BufferStore } from '../runtime/buffer-store';
import type { Gpu } from '../runtime/device';
import { DeviceLostError, MlaLpError } from '../runtime/errors';
import { Executable } from '../runtime/executable';
import { decodeF16, encodeF16 } from '../runtime/float16';
import { Graph } from '../runtime/graph';
import { isCannot, type OpCall } from '../runtime/op';
import { plan } from '../runtime/plan';
import { sizeOf, tensorType } from '../runtime/tensor-type';
import type { AttentionAttrs } from './attention/attention';
import type { AttentionBackwardAttrs } from './attention/attention-backward';
import { attentionBackwardSuite, attentionCase, attentionSuite, backwardCase } from './attention/cases';
import { gemmOp } from './gemm/gemm';
import type { GemmAttrs } from './gemm/lowering';
import { gemmReference } from './gemm/reference';
import type { FactorType } from './matrix-units';
import { type KernelCase, type OpSuite, uniformAt } from './suite';
import { firstMismatch, TOLERANCE } from './tolerance';

/** What an op's kernels on matrix units are asked. */
export interface Probe<A> extends Pick<OpSuite<A>, 'op' | 'reference'> {
  /** Variants with tiles of their own. */
  readonly variants: readonly string[];
  cases(dtype: FactorType): readonly Pick<KernelCase<A>, 'inputs' | 'attrs' | 'fill'>[];
}

const LAYOUTS: readonly Pick<GemmAttrs, 'x' | 'weight'>[] = [
  { weight: 'nk' },
  { weight: 'kn' },
  { x: 'km', weight: 'kn' },
];

export const gemmProbe: Probe<GemmAttrs> = {
  op: gemmOp,
  reference: gemmReference,
  // Split K runs the first one's kernel.
  variants: ['matrix', 'matrix_128x64', 'matrix_128x128'],
  cases: (dtype) =>
    LAYOUTS.map((layouts, i) => {
      const [M, K, N] = [76, 68, 140]; // ragged in tiles, matrices and slices
      return {
        attrs: { bias: false, residual: false, ...layouts },
        inputs: [
          tensorType(dtype, layouts.x === 'km' ? [K, M] : [M, K]),
          tensorType(dtype, layouts.weight === 'kn' ? [K, N] : [N, K]),
        ],
        fill: (o, length) => Float64Array.from({ length }, (_, at) => uniformAt(at, 2 * i + o)),
      };
    }),
};

const matrixVariantsOf = ({ variants }: { readonly variants: readonly { readonly name: string }[] }) =>
  variants.map(({ name }) => name).filter((name) => name.startsWith('matrix'));

export const attentionProbe: Probe<AttentionAttrs> = {
  ...attentionSuite,
  variants: matrixVariantsOf(attentionSuite.op),
  // Where running maxima grow, the output is scaled.
  cases: (dtype) => [
    attentionCase(1, 77, 2, 64, { dtype, rising: true }),
    attentionCase(1, 77, 2, 64, { dtype, causal: true, saveLse: true }),
  ],
};

export const attentionBackwardProbe: Probe<AttentionBackwardAttrs> = {
  ...attentionBackwardSuite,
  variants: matrixVariantsOf(attentionBackwardSuite.op),
  cases: (dtype) => [
    backwardCase(1, 77, 2, 64, { dtype }),
    backwardCase(1, 77, 2, 64, { dtype, causal: true }),
  ],
};

/** Questions that were asked, and their answers' ends. */
const asked = new WeakMap<Gpu, Map<string, Promise<void>>>();

function once(gpu: Gpu, question: string, ask: () => Promise<void>): Promise<void> {
  const known = asked.get(gpu) ?? new Map<string, Promise<void>>();
  asked.set(gpu, known);
  const answer = known.get(question) ?? ask();
  known.set(question, answer);
  return answer;
}

/**
 * Before anything is planned that may use matrix units. Where GEMM on them gives other sums than the reference, or does not compile, the
 * device goes on without them; where attention does, without that variant. `gpu.notes` says so. Once a device; nothing to do where there are
 * none.
 * @param training also asks for what only training needs.
 * @throws DeviceLostError
 */
export async function checkMatrixUnits(gpu: Gpu, { training = false } = {}): Promise<void> {
  if (gpu.caps.matrixConfigs.length === 0) return;
  await once(gpu, 'detection', async () => {
    await Promise.all([askGemm(gpu), askEach(gpu, attentionProbe)]);
  });
  if (training) await once(gpu, 'training', () => askEach(gpu, attentionBackwardProbe));
}

/** All else stands on these sums. */
async function askGemm(gpu: Gpu): Promise<void> {
  const faultIn = async (dtype: FactorType) => {
    const faults = await Promise.all(
      gemmProbe.variants.map((name) => matrixFault(gpu, gemmProbe, name, dtype)),
    );
    return faults.find((fault) => fault !== undefined);
  };
  const [inF32, inF16] = await Promise.all([faultIn('f32'), gpu.caps.f16 ? faultIn('f16') : undefined]);
  if (inF32 !== undefined) gpu.withoutMatrixUnits(inF32, 'f32');
  if (inF16 !== undefined) gpu.withoutMatrixUnits(inF16);
}

async function askEach<A>(gpu: Gpu, probe: Probe<A>): Promise<void> {
  // CPUs compile these for half a minute, and neither `choose` nor the autotuner takes kernels with barriers there.
  if (gpu.caps.software) return;
  const dtypes: readonly FactorType[] = gpu.caps.f16 ? ['f32', 'f16'] : ['f32'];
  const work = probe.variants.map(async (variant) => {
    const faults = await Promise.all(dtypes.map((dtype) => matrixFault(gpu, probe, variant, dtype)));
    const fault = faults.find((one) => one !== undefined);
    if (fault !== undefined) gpu.withoutVariant(probe.op.name, variant, fault);
  });
  await Promise.all(work);
}

/** What is wrong with results of a variant on a device; undefined when they are right or the variant does not run there. */
export async function matrixFault<A>(
  gpu: Gpu,
  { op, reference, cases }: Probe<A>,
  variant: string,
  dtype: FactorType,
): Promise<string | undefined> {
  const g = new Graph();
  const values: Record<string, Float32Array<ArrayBuffer>> = {};
  const wanted = new Map<string, Float64Array>();
  for (const [i, { inputs, attrs, fill }] of cases(dtype).entries()) {
    const call: OpCall<A> = { inputs, outputs: op.infer(inputs, attrs), attrs };
    if (isCannot(op.variants.find(({ name }) => name === variant)!.lower(call, gpu.caps))) return undefined;
    const operands = inputs.map((type, o) => {
      const length = sizeOf(type);
      const given = fill?.(o, length) ?? Float64Array.from({ length }, (_, at) => uniformAt(at, o));
      const numbers = Float32Array.from(given);
      values[`x${i}${o}`] = type.dtype === 'f16' ? decodeF16(encodeF16(numbers)) : numbers;
      return g.input(`x${i}${o}`, type.dtype, type.shape);
    });
    const exact = operands.map((_, o) => Float64Array.from(values[`x${i}${o}`]!));
    const want = reference(exact, call);
    for (const [r, result] of g.apply(op, operands, attrs).entries()) {
      g.output(`y${i}${r}`, result);
      wanted.set(`y${i}${r}`, want[r]!);
    }
  }
  const store = new BufferStore(gpu);
  let executable: Executable | undefined;
  try {
    const planned = plan(g, gpu.caps, { variants: { [op.name]: variant } });
    executable = await Executable.compile(gpu, planned, store, { poison: true });
    const found = await executable.run(values);
    for (const [name, want] of wanted) {
      const wrong = firstMismatch(found[name]!, want, TOLERANCE[dtype]);
      if (wrong)
        return `element ${wrong.index} of a result of ${op.name} was ${wrong.got} instead of ${wrong.want}`;
    }
    return undefined;
  } catch (error) {
    if (!(error instanceof MlaLpError) || error instanceof DeviceLostError) throw error;
    return error.fact.replace(/\.$/, '');
  } finally {
    executable?.destroy();
    store.destroy();
  }
}
