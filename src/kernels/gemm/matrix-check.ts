/**
 * Asks a device whether its matrix units do what they say before a model relies on them: they are an experimental feature, whose
 * drivers nobody here has seen all of. Small products, for each tile size (they may take other configurations) and each pair of layouts
 * that a model and its training have.
 */
import { BufferStore } from '../../runtime/buffer-store';
import type { Gpu } from '../../runtime/device';
import { DeviceLostError, MlaLpError } from '../../runtime/errors';
import { Executable } from '../../runtime/executable';
import { decodeF16, encodeF16 } from '../../runtime/float16';
import { Graph } from '../../runtime/graph';
import { isCannot, type Op, type OpCall } from '../../runtime/op';
import { plan } from '../../runtime/plan';
import { tensorType } from '../../runtime/tensor-type';
import { uniformAt } from '../suite';
import { firstMismatch, TOLERANCE } from '../tolerance';
import { gemmOp } from './gemm';
import type { GemmAttrs } from './lowering';
import { gemmReference } from './reference';

/** Ragged in tiles, matrices and slices. */
const [M, K, N] = [76, 68, 140];

const LAYOUTS: readonly Pick<GemmAttrs, 'x' | 'weight'>[] = [
  { weight: 'nk' },
  { weight: 'kn' },
  { x: 'km', weight: 'kn' },
];

const checked = new WeakMap<Gpu, Promise<void>>();

/** Variants with tiles of their own; split K runs the first one's kernel. */
const VARIANTS = ['matrix', 'matrix_128x64', 'matrix_128x128'];

/**
 * Before anything is planned that may use matrix units. Where they give other sums than the reference, or a kernel does not
 * compile, the device goes on without them and `gpu.notes` says so. Once a device; nothing to do where there are none.
 * @throws DeviceLostError
 */
export function checkMatrixUnits(gpu: Gpu): Promise<void> {
  const known = checked.get(gpu);
  if (known) return known;
  const work = (async () => {
    if (gpu.caps.matrixConfigs.length === 0) return;
    const faultOf = async (dtype: 'f32' | 'f16') =>
      (await Promise.all(VARIANTS.map((variant) => matrixFault(gpu, variant, dtype)))).find(
        (fault) => fault !== undefined,
      );
    const inF32 = await faultOf('f32');
    if (inF32 !== undefined) gpu.withoutMatrixUnits(inF32, 'f32');
    const inF16 = gpu.caps.f16 ? await faultOf('f16') : undefined;
    if (inF16 !== undefined) gpu.withoutMatrixUnits(inF16);
  })();
  checked.set(gpu, work);
  return work;
}

/**
 * What is wrong with products of a variant on a device; undefined when they are right or the variant does not run there.
 * @param op a broken twin, in tests.
 */
export async function matrixFault(
  gpu: Gpu,
  variant: string,
  dtype: 'f32' | 'f16',
  op: Op<GemmAttrs> = gemmOp,
): Promise<string | undefined> {
  const g = new Graph();
  const values: Record<string, Float32Array<ArrayBuffer>> = {};
  const wanted = new Map<string, Float64Array>();
  for (const [i, layouts] of LAYOUTS.entries()) {
    const attrs: GemmAttrs = { bias: false, residual: false, ...layouts };
    const inputs = [
      tensorType(dtype, layouts.x === 'km' ? [K, M] : [M, K]),
      tensorType(dtype, layouts.weight === 'kn' ? [K, N] : [N, K]),
    ];
    const call: OpCall<GemmAttrs> = { inputs, outputs: op.infer(inputs, attrs), attrs };
    if (isCannot(op.variants.find(({ name }) => name === variant)!.lower(call, gpu.caps))) return undefined;
    const operands = inputs.map(({ shape }, o) => {
      const numbers = Float32Array.from({ length: shape[0]! * shape[1]! }, (_, at) =>
        uniformAt(at, 2 * i + o),
      );
      values[`x${i}${o}`] = dtype === 'f16' ? decodeF16(encodeF16(numbers)) : numbers;
      return g.input(`x${i}${o}`, dtype, shape);
    });
    g.output(`y${i}`, g.apply(op, operands, attrs)[0]!);
    const exact = operands.map((_, o) => Float64Array.from(values[`x${i}${o}`]!));
    wanted.set(`y${i}`, gemmReference(exact, call)[0]!);
  }
  const store = new BufferStore(gpu);
  let executable: Executable | undefined;
  try {
    const planned = plan(g, gpu.caps, { variants: { [op.name]: variant } });
    executable = await Executable.compile(gpu, planned, store, { poison: true });
    const found = await executable.run(values);
    for (const [name, want] of wanted) {
      const wrong = firstMismatch(found[name]!, want, TOLERANCE[dtype]);
      if (wrong) return `element ${wrong.index} of a product was ${wrong.got} instead of ${wrong.want}`;
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
