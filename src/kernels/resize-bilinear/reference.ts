import type { OpCall } from '../../runtime/op';
import { sizeOf } from '../../runtime/tensor-type';
import type { ResizeBilinearAttrs } from './resize-bilinear';
import type { ResizeBilinearBackwardAttrs } from './resize-bilinear-backward';

/** Where output `i` reads, in sources. */
function sourceOf(
  i: number,
  sizeIn: number,
  sizeOut: number,
  corners: ResizeBilinearAttrs['corners'],
): number {
  if (corners === 'halved') return Math.min(Math.max(((i + 0.5) * sizeIn) / sizeOut - 0.5, 0), sizeIn - 1);
  return sizeOut > 1 ? (i * (sizeIn - 1)) / (sizeOut - 1) : 0;
}

export function resizeBilinearReference(
  [x]: readonly Float64Array[],
  call: OpCall<ResizeBilinearAttrs>,
): Float64Array[] {
  const [batch, h, w, channels] = call.inputs[0]!.shape as [number, number, number, number];
  const { height, width, corners } = call.attrs;
  const y = new Float64Array(sizeOf(call.outputs[0]!));
  let at = 0;
  for (let b = 0; b < batch; b++)
    for (let i = 0; i < height; i++)
      for (let j = 0; j < width; j++)
        for (let k = 0; k < channels; k++) {
          const read = (row: number, col: number) => x![((b * h + row) * w + col) * channels + k]!;
          const row = sourceOf(i, h, height, corners);
          const col = sourceOf(j, w, width, corners);
          const [r, c] = [Math.floor(row), Math.floor(col)];
          const [below, right] = [Math.min(r + 1, h - 1), Math.min(c + 1, w - 1)];
          const top = read(r, c) * (1 - (col - c)) + read(r, right) * (col - c);
          const bottom = read(below, c) * (1 - (col - c)) + read(below, right) * (col - c);
          y[at++] = top * (1 - (row - r)) + bottom * (row - r);
        }
  return [y];
}

/** Passes every output's gradient to its four taps. */
export function resizeBilinearBackwardReference(
  [dy]: readonly Float64Array[],
  call: OpCall<ResizeBilinearBackwardAttrs>,
): Float64Array[] {
  const [batch, height, width, channels] = call.inputs[0]!.shape as [number, number, number, number];
  const { height: h, width: w } = call.attrs;
  const dx = new Float64Array(sizeOf(call.outputs[0]!));
  let at = 0;
  for (let b = 0; b < batch; b++)
    for (let i = 0; i < height; i++)
      for (let j = 0; j < width; j++)
        for (let k = 0; k < channels; k++) {
          const g = dy![at++]!;
          const row = sourceOf(i, h, height, 'aligned');
          const col = sourceOf(j, w, width, 'aligned');
          const [r, c] = [Math.floor(row), Math.floor(col)];
          for (const [y, down] of [
            [r, 1 - (row - r)],
            [Math.min(r + 1, h - 1), row - r],
          ] as const)
            for (const [x, across] of [
              [c, 1 - (col - c)],
              [Math.min(c + 1, w - 1), col - c],
            ] as const)
              dx[((b * h + y) * w + x) * channels + k]! += down * across * g;
        }
  return [dx];
}
