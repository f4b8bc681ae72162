import { type Dtype, sizeOf, type TensorType, tensorType } from '../../runtime/tensor-type';
import type { ActivationKind } from '../activation/activation';
import { type KernelCase, type OpSuite, type RowsOf, type ShapedCases, uniformAt } from '../suite';
import { type GemmAttrs, gemmOp } from './gemm';
import { gemmReference } from './reference';

interface Options extends Partial<GemmAttrs> {
  readonly dtype?: Dtype;
  readonly weightDtype?: Dtype;
  readonly bench?: boolean;
  readonly siblings?: boolean;
  readonly differentiable?: readonly number[];
}

/** How a product with a transposed first factor stands in a table: the gradient of a weight. */
const KM: Options = { x: 'km', weight: 'kn' };

/** Two results, without gradients. */
const HALVES: Options = { halves: true, differentiable: [] };

function gemmCase(m: number, k: number, n: number, options: Options = {}): KernelCase<GemmAttrs> {
  const { dtype = 'f32', weightDtype = dtype, bench = false, siblings = false, ...others } = options;
  const { differentiable, ...rest } = others;
  const attrs: GemmAttrs = { bias: false, residual: false, weight: 'nk', ...rest };
  const inputs = [
    tensorType(dtype, attrs.x === 'km' ? [k, m] : [m, k]),
    tensorType(weightDtype, attrs.weight === 'nk' ? [n, k] : [k, n]),
    ...(attrs.bias ? [tensorType('f32', [n])] : []),
    ...(attrs.residual ? [tensorType(attrs.out ?? dtype, [m, n])] : []),
  ];
  const extras = [
    attrs.bias && 'bias',
    attrs.activation,
    attrs.residual && 'residual',
    attrs.mix && `mixed ${attrs.mix.join(' and ')}`,
    attrs.x === 'km' && 'km',
    attrs.weight === 'kn' && 'kn',
    weightDtype !== dtype && `w ${weightDtype}`,
    attrs.out && `to ${attrs.out}`,
    attrs.halves && 'halves',
  ];
  const name = [`${dtype} ${m}x${k}x${n}`, ...extras.filter(Boolean)].join(' ');
  // Weights are scaled as in a trained network, so that sums stay near 1.
  const fill = (index: number, length: number) =>
    index === 1 ? Float64Array.from({ length }, (_, i) => uniformAt(i, 7) * Math.sqrt(3 / k)) : undefined;
  return { name, inputs, attrs, fill, bench, siblings, ...(differentiable && { differentiable }) };
}

const shaped: ShapedCases<GemmAttrs> = {
  axes: ['M', 'K', 'N'],
  choices: {
    /** How x and w lie: [M, K] or [K, M], and [N, K] or [K, N]. */
    layout: ['mk-nk', 'mk-kn', 'km-kn', 'km-nk'],
    bias: 'flag',
    activation: ['none', 'gelu', 'quick_gelu', 'leaky_relu'],
    residual: 'flag',
    out: ['same', 'f32', 'f16'],
  },
  make([m, k, n], dtype, { layout, bias, activation, residual, out }) {
    const [x, weight] = String(layout).split('-') as ['mk' | 'km', 'nk' | 'kn'];
    return gemmCase(m!, k!, n!, {
      dtype,
      weight,
      bias: bias === true,
      residual: residual === true,
      ...(x === 'km' && { x }),
      ...(activation !== 'none' && { activation: activation as ActivationKind }),
      ...(out !== 'same' && { out: out as Dtype }),
    });
  },
};

const rowsOf: RowsOf<GemmAttrs> = {
  count: ({ inputs, attrs }) => sizeOf(inputs[0]!) / inputs[0]!.shape.at(attrs.x === 'km' ? 0 : -1)!,
  part({ inputs, outputs, attrs }, rows) {
    const [x, w, ...rest] = inputs as [TensorType, TensorType, ...TensorType[]];
    const km = attrs.x === 'km';
    const K = x.shape.at(km ? 0 : -1)!;
    const [M, N, R] = [sizeOf(x) / K, outputs[0]!.shape.at(-1)!, rows.length];
    const row = (length: number) => (i: number) => rows[Math.floor(i / length)]! * length + (i % length);
    const residual = attrs.residual ? [{ dtype: rest.at(-1)!.dtype, shape: [R, N] }] : [];
    return {
      inputs: [
        { dtype: x.dtype, shape: km ? [K, R] : [R, K] },
        w,
        ...rest.slice(0, Number(attrs.bias)),
        ...residual,
      ],
      attrs,
      from: [
        km ? (i) => Math.floor(i / R) * M + rows[i % R]! : row(K),
        undefined,
        ...(attrs.bias ? [undefined] : []),
        ...(attrs.residual ? [row(N)] : []),
      ],
      to: outputs.map(() => row(N)),
    };
  },
};

export const gemmSuite: OpSuite<GemmAttrs> = {
  op: gemmOp,
  reference: gemmReference,
  differentiable: [0, 1, 2, 3],
  shaped,
  facts: {
    X_KM: { holds: ({ attrs }) => attrs.x === 'km', constants: ['ROW_STRIDE', 'X_STRIDE'] },
    W_KN: { holds: ({ attrs }) => attrs.weight === 'kn', constants: ['COL_STRIDE', 'K_STRIDE'] },
  },
  rows: rowsOf,
  cases: [
    // ViT-L/14 at 240 px: 290 tokens; QKV, attention output, MLP in and out, adapter
    gemmCase(290, 1024, 3072, { bias: true, bench: true }),
    gemmCase(290, 1024, 1024, { bias: true, residual: true, bench: true }),
    gemmCase(290, 1024, 4096, { bias: true, activation: 'gelu', bench: true }),
    gemmCase(290, 4096, 1024, { bias: true, residual: true, bench: true }),
    gemmCase(290, 1024, 768, { activation: 'leaky_relu', bench: true }),
    gemmCase(290, 1024, 4096, { dtype: 'f16', bias: true, activation: 'gelu', bench: true }),
    gemmCase(77, 64, 192, { bias: true, activation: 'quick_gelu' }),
    gemmCase(50, 128, 96, { bias: true, residual: true, activation: 'leaky_relu' }),
    gemmCase(18, 68, 36, { residual: true, activation: 'leaky_relu', mix: [0.1, 0.8] }),
    gemmCase(65, 588, 33, { bias: true, siblings: true }),
    gemmCase(1, 64, 48),
    gemmCase(3, 5, 7, { bias: true, residual: true }),
    // Gradients by x and by the weight (K = 290 tokens), and the corners of their tiles
    gemmCase(290, 4096, 1024, { weight: 'kn', bench: true }),
    gemmCase(290, 1024, 4096, { weight: 'kn', residual: true, bench: true }),
    gemmCase(768, 290, 1024, { ...KM, bench: true }),
    gemmCase(768, 290, 1024, { ...KM, dtype: 'f16', out: 'f32', bench: true }),
    gemmCase(21, 64, 96, { weight: 'kn' }),
    gemmCase(3, 8, 4, { weight: 'kn', bias: true }),
    gemmCase(77, 36, 68, { weight: 'kn', residual: true, activation: 'gelu' }),
    gemmCase(67, 6, 36, { weight: 'kn', bias: true, residual: true, activation: 'leaky_relu' }),
    gemmCase(50, 64, 36, { weight: 'kn', dtype: 'f16', weightDtype: 'f32', out: 'f32', residual: true }),
    gemmCase(68, 77, 132, { ...KM, siblings: true }),
    gemmCase(4, 5, 8, { ...KM, bias: true, residual: true, activation: 'quick_gelu' }),
    gemmCase(100, 50, 36, { ...KM, bias: true }),
    gemmCase(50, 77, 33, { ...KM, activation: 'leaky_relu' }),
    gemmCase(1, 3, 1, KM),
    gemmCase(36, 77, 100, { ...KM, dtype: 'f16', out: 'f32', residual: true }),
    gemmCase(36, 50, 68, { ...KM, weightDtype: 'f16' }),
    gemmCase(20, 36, 33, { x: 'km' }),
    gemmCase(7, 5, 9, { x: 'km', bias: true }),
    gemmCase(129, 20, 66, { activation: 'gelu' }),
    gemmCase(77, 64, 50, { dtype: 'f16', bias: true, residual: true, activation: 'gelu' }),
    gemmCase(5, 7, 9, { dtype: 'f16' }),
    gemmCase(66, 36, 65, { dtype: 'f16', out: 'f32', siblings: true }),
    gemmCase(33, 64, 40, { weightDtype: 'f16' }),
    // Several blocks of rows; sums of 16 columns an invocation
    gemmCase(163, 68, 36, { bias: true }),
    gemmCase(129, 260, 772, { weight: 'kn' }),
    // Both adapters' first matrices: halves that end inside a tile, on a vec4 or not
    gemmCase(290, 1024, 1536, { activation: 'leaky_relu', ...HALVES, bench: true }),
    gemmCase(77, 68, 72, { activation: 'leaky_relu', ...HALVES }),
    gemmCase(67, 588, 66, HALVES),
    gemmCase(50, 36, 36, { weight: 'kn', activation: 'gelu', ...HALVES }),
    gemmCase(3, 5, 6, HALVES),
    gemmCase(50, 68, 72, { dtype: 'f16', activation: 'leaky_relu', ...HALVES }),
    gemmCase(33, 64, 40, { weightDtype: 'f16', ...HALVES }),
  ],
};
