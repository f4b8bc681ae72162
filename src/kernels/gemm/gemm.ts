/**
 * GEMM with a fused epilogue:
 *   y = activation(op(x) * op(w) + bias) + residual,   or with `mix`: own * activation(...) + rest * residual
 *
 * Operands, in this order: x f32|f16 [..., K] or, with `x: 'km'`, [K, M] (op(x) = x^T); w f32|f16, [N, K] (torch.nn.Linear,
 * op(w) = w^T) or, with `weight: 'kn'`, [K, N]; bias f32 [N] if any; residual like y if any. Result: y [..., N] or [M, N]; with
 * `halves`, which has neither bias nor residual, two of them: columns 0 .. N/2 - 1 and the rest.
 * Sums are f32 whatever the storage type. Activations: `../activation`.
 */
import { MlaLpError, ShapeError } from '../../runtime/errors';
import type { Graph, Tensor } from '../../runtime/graph';
import type { BackwardContext, Op } from '../../runtime/op';
import { type Dtype, describe, sameShape, sizeOf } from '../../runtime/tensor-type';
import { type ActivationKind, activationBackward } from '../activation/activation';
import { reduce } from '../reduce/reduce';
import { weightedSum } from '../weighted-sum/weighted-sum';
import { chooseGemm, gemmVariants } from './choose';
import { type GemmAttrs, sizes } from './lowering';

export type { GemmAttrs } from './lowering';

export const gemmOp: Op<GemmAttrs> = {
  name: 'gemm',

  infer(inputs, attrs) {
    const [x, w] = inputs;
    const wanted = 2 + Number(attrs.bias) + Number(attrs.residual);
    if (!x || !w || inputs.length !== wanted) throw new ShapeError(`gemm takes ${wanted} operands.`);
    if (attrs.x === 'km' && x.shape.length !== 2)
      throw new ShapeError(`gemm: x ${describe(x)} must be [K, M].`);
    const k = x.shape.at(attrs.x === 'km' ? 0 : -1);
    if (k === undefined || w.shape.length !== 2 || w.shape[attrs.weight === 'nk' ? 1 : 0] !== k) {
      throw new ShapeError(`gemm: x ${describe(x)} and w ${describe(w)} (${attrs.weight}) do not share K.`);
    }
    if (x.dtype === 'u32' || w.dtype === 'u32') throw new ShapeError('gemm: x and w must be f32 or f16.');
    const n = w.shape[attrs.weight === 'nk' ? 0 : 1]!;
    const rows = attrs.x === 'km' ? x.shape.slice(1) : x.shape.slice(0, -1);
    if (attrs.halves && (n % 2 !== 0 || attrs.bias || attrs.residual)) {
      throw new ShapeError(`gemm: halves need an even N, not ${n}, and neither bias nor residual.`);
    }
    const y = { dtype: attrs.out ?? x.dtype, shape: [...rows, attrs.halves ? n / 2 : n] };
    const bias = attrs.bias ? inputs[2]! : undefined;
    if (bias && (bias.dtype !== 'f32' || !sameShape(bias.shape, [n]))) {
      throw new ShapeError(`gemm: bias must be f32[${n}], not ${describe(bias)}.`);
    }
    if (attrs.mix && !(attrs.residual && attrs.mix.every(Number.isFinite))) {
      throw new ShapeError('gemm: a mix needs a residual and two finite factors.');
    }
    const residual = attrs.residual ? inputs[wanted - 1]! : undefined;
    if (residual && (residual.dtype !== y.dtype || !sameShape(residual.shape, y.shape))) {
      throw new ShapeError(`gemm: residual must be ${y.dtype}[${y.shape}], not ${describe(residual)}.`);
    }
    return attrs.halves ? [y, y] : [y];
  },

  variants: gemmVariants,

  choose: chooseGemm,

  flops(call) {
    const { M, N, K } = sizes(call);
    return 2 * M * N * K;
  },

  // y = o f(z) + q r, z = op(x) op(w) + b, o and q 1 unless mixed, so dr = q dy and dz = f'(z) o dy. By the sum's own indices,
  //   z[m, n] = sum_k x[m, k] w[k, n] + b[n]:   dx[m, k] = sum_n dz[m, n] w[k, n],   dw[k, n] = sum_m x[m, k] dz[m, n],
  //   db[n] = sum_m dz[m, n];
  // each product again a GEMM, whose layouts follow from how its factors and its result are stored. What other nodes gave
  // to dx or dw so far enters as that GEMM's residual.
  backward(context) {
    const { graph: g, attrs, inputTypes, outputGradients, needed, input, absorb } = context;
    if (attrs.halves)
      throw new MlaLpError('bad-value', 'gemm: halves have no backward: train the matrices apart.', '');
    const dy = outputGradients[0]!;
    const found: (Tensor | undefined)[] = inputTypes.map(() => undefined);
    const last = inputTypes.length - 1;
    const [own, rest] = attrs.mix ?? [1, 1];
    const times = (factor: number) => (factor === 1 ? dy : weightedSum(g, [dy], [factor]));
    if (attrs.residual && needed[last]) found[last] = times(rest);
    const biasNeeded = attrs.bias && needed[2];
    if (!needed[0] && !needed[1] && !biasNeeded) return found;

    const { M, N, K } = sizes({ inputs: inputTypes, attrs });
    const shaped = attrs.activation
      ? activationBackward(g, times(own), slopePoint(context), attrs.activation)
      : times(own);
    const dz = g.reshape(shaped, [M, N]);
    const [km, kn] = [attrs.x === 'km', attrs.weight === 'kn'];
    const product = (i: 0 | 1, a: Tensor, b: Tensor, x: 'mk' | 'km', weight: 'nk' | 'kn') => {
      const { dtype, shape } = inputTypes[i]!;
      const flat = [sizeOf(inputTypes[i]!) / shape.at(-1)!, shape.at(-1)!];
      const others = absorb(i);
      const options = { x, weight, out: dtype, ...(others && { residual: g.reshape(others, flat) }) };
      return g.reshape(gemm(g, a, b, options), shape);
    };
    if (needed[0]) {
      found[0] = km
        ? product(0, input(1), dz, kn ? 'mk' : 'km', 'nk') // dx [K, M] = op(w) dz^T
        : product(0, dz, input(1), 'mk', kn ? 'nk' : 'kn'); // dx [M, K] = dz op(w)^T
    }
    if (needed[1]) {
      const x = km ? input(0) : g.reshape(input(0), [M, K]);
      found[1] = kn
        ? product(1, x, dz, km ? 'mk' : 'km', 'kn') // dw [K, N] = op(x)^T dz
        : product(1, dz, x, 'km', km ? 'nk' : 'kn'); // dw [N, K] = dz^T op(x)
    }
    if (biasNeeded) found[2] = reduce(g, dz, 0, 'sum');
    return found;
  },
};

/**
 * Where the activation's derivative is taken: z, computed once more, for the fused result does not tell it. A training graph
 * spares itself that by not fusing. leaky_relu asks only for z's sign, which y has unless a residual was added.
 */
function slopePoint({ graph, attrs, input, output }: BackwardContext<GemmAttrs>): Tensor {
  if (attrs.activation === 'leaky_relu' && !attrs.residual) return output(0);
  const operands = [input(0), input(1), ...(attrs.bias ? [input(2)] : [])];
  const { activation: _dropped, mix: _mixed, ...linear } = attrs;
  return graph.apply(gemmOp, operands, { ...linear, residual: false })[0]!;
}

export interface GemmOptions {
  readonly bias?: Tensor;
  readonly residual?: Tensor;
  /** Factors on what is computed and on the residual. */
  readonly mix?: readonly [own: number, residual: number];
  readonly activation?: ActivationKind;
  readonly x?: 'mk' | 'km';
  readonly weight?: 'nk' | 'kn';
  readonly out?: Dtype;
}

/**
 * y = activation(x * w^T + bias) + residual (each times its factor in `mix`); x [..., K], w [N, K] -> [..., N]. With `weight: 'kn'` w is [K, N], with
 * `x: 'km'` x is [K, M].
 */
export function gemm(g: Graph, x: Tensor, w: Tensor, options: GemmOptions = {}): Tensor {
  const { bias, residual, mix, activation, x: layout, weight = 'nk', out } = options;
  const operands = [x, w, bias, residual].filter((t) => t !== undefined);
  const attrs: GemmAttrs = {
    bias: bias !== undefined,
    residual: residual !== undefined,
    ...(mix && { mix }),
    weight,
    ...(layout && { x: layout }),
    ...(activation && { activation }),
    ...(out && { out }),
  };
  return g.apply(gemmOp, operands, attrs)[0]!;
}

/**
 * activation(x * w^T) of two matrices that lie one after the other in w [N, K], as two results; x [..., K] -> [..., N/2] twice. No
 * backward.
 */
export function gemmHalves(
  g: Graph,
  x: Tensor,
  w: Tensor,
  { activation }: Pick<GemmOptions, 'activation'> = {},
): [first: Tensor, second: Tensor] {
  const attrs: GemmAttrs = { bias: false, residual: false, weight: 'nk', halves: true };
  const [first, second] = g.apply(gemmOp, [x, w], { ...attrs, ...(activation && { activation }) });
  return [first!, second!];
}
