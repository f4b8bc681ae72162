import type { OpCall } from '../../runtime/op';
import { activationReference } from '../activation/reference';
import type { GemmAttrs } from './gemm';

export function gemmReference(inputs: readonly Float64Array[], call: OpCall<GemmAttrs>): Float64Array[] {
  const { attrs } = call;
  const [x, w] = inputs;
  const km = attrs.x === 'km';
  const K = call.inputs[0]!.shape.at(km ? 0 : -1)!;
  const N = call.inputs[1]!.shape[attrs.weight === 'nk' ? 0 : 1]!;
  const M = x!.length / K;
  const bias = attrs.bias ? inputs[2]! : undefined;
  const residual = attrs.residual ? inputs[inputs.length - 1]! : undefined;
  const [own, rest] = attrs.mix ?? [1, 1];
  const y = new Float64Array(M * N);
  for (let m = 0; m < M; m++) {
    for (let n = 0; n < N; n++) {
      let sum = 0;
      for (let k = 0; k < K; k++)
        sum += x![km ? k * M + m : m * K + k]! * w![attrs.weight === 'nk' ? n * K + k : k * N + n]!;
      sum += bias ? bias[n]! : 0;
      if (attrs.activation) sum = activationReference(attrs.activation, sum);
      y[m * N + n] = own * sum + (residual ? rest * residual[m * N + n]! : 0);
    }
  }
  if (!attrs.halves) return [y];
  return [0, 1].map((half) => y.filter((_, i) => Math.floor((2 * (i % N)) / N) === half));
}
