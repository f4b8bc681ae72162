/** RLE (PS3.5, annex G): one segment a byte plane, each packed by PackBits. */
import { BadImageError } from '../../../runtime/errors';
import { COPY_AGAIN } from '../../limits';

/**
 * @param pixels rows * columns. @param sampleBytes bytes a sample.
 * @returns samples little-endian, colour by plane: [samples][pixels][sampleBytes].
 * @throws BadImageError when segments are missing, lie outside, or hold too little.
 */
export function decodeRle(
  bytes: Uint8Array,
  pixels: number,
  samples: number,
  sampleBytes: number,
  name: string,
): Uint8Array<ArrayBuffer> {
  const bad = (detail: string) => new BadImageError(name, `its RLE data is damaged: ${detail}`, COPY_AGAIN);
  if (bytes.length < 64) throw bad('it is shorter than its header');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const segments = samples * sampleBytes;
  const claimed = view.getUint32(0, true);
  if (claimed !== segments) throw bad(`it has ${claimed} segments where ${segments} belong`);
  const starts = Array.from({ length: segments }, (_, s) => view.getUint32(4 + 4 * s, true));
  starts.push(bytes.length);
  if (starts.some((start, s) => start < 64 || start > bytes.length || start < (starts[s - 1] ?? 0))) {
    throw bad('a segment lies outside');
  }
  const out = new Uint8Array(pixels * segments);
  for (let s = 0; s < segments; s++) {
    // The first segment of a sample holds its highest bytes.
    const plane = Math.floor(s / sampleBytes) * pixels * sampleBytes;
    const first = plane + sampleBytes - 1 - (s % sampleBytes);
    const segment = bytes.subarray(starts[s]!, starts[s + 1]!);
    if (!unpackBits(segment, out, first, sampleBytes, pixels)) throw bad(`segment ${s + 1} ends too early`);
  }
  return out;
}

/** @returns whether `count` bytes were written, `step` apart; what is beyond is padding. */
function unpackBits(input: Uint8Array, out: Uint8Array, first: number, step: number, count: number): boolean {
  const end = first + count * step;
  let o = first;
  for (let i = 0; i < input.length && o < end; ) {
    const control = input[i++]!;
    if (control === 128) continue;
    const run = control > 128 ? 257 - control : control + 1;
    if (control > 128) {
      const value = input[i++];
      if (value === undefined) return false;
      for (let k = 0; k < run && o < end; k++, o += step) out[o] = value;
    } else {
      if (i + run > input.length && (end - o) / step > input.length - i) return false;
      for (let k = 0; k < run && o < end; k++, o += step) out[o] = input[i + k]!;
      i += run;
    }
  }
  return o >= end;
}
