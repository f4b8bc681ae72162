import { MlaLpError } from '../../src/runtime/errors';
import type { OutputData } from '../../src/runtime/executable';
import type { Plan } from '../../src/runtime/plan';
import { byteSize } from '../../src/runtime/tensor-type';
import type { Floor } from '../record';

/** The least work of a whole graph: its weights, inputs and outputs each move once; what lies between need not. */
export function floorOf({ graph, flops }: Plan): Floor {
  const ends = [...graph.weights.values(), ...graph.inputs.values(), ...graph.outputs.values()];
  return { flops, bytes: ends.reduce((sum, { type }) => sum + byteSize(type), 0) };
}

/** @throws MlaLpError for NaN or infinity: broken arithmetic gets no time. (Values themselves: test/model, test:full.) */
export function assertFinite(values: OutputData): void {
  const at = (values as Float32Array).findIndex((value) => !Number.isFinite(value));
  if (at >= 0) throw new MlaLpError('gpu-error', `Element ${at} of a result is ${values[at]}.`, '');
}
