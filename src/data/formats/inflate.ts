/** Unpacking into memory with a bound: the only way in which compressed bytes of a file become more bytes here. */
import { BadImageError } from '../../runtime/errors';
import { COPY_AGAIN, type DecodeLimits } from '../limits';

/**
 * @param most bytes that may come out. Memory is taken as they come, whatever the file claims.
 * @throws BadImageError when more come out, the stream is damaged or cut off, or it takes too long.
 */
export async function inflateBounded(
  format: 'gzip' | 'deflate-raw',
  data: Uint8Array<ArrayBuffer>,
  most: number,
  name: string,
  limits: DecodeLimits,
): Promise<Uint8Array<ArrayBuffer>> {
  let out = new Uint8Array(Math.min(most, 1 << 16));
  let used = 0;
  for await (const piece of inflating(format, data, name, limits)) {
    if (used + piece.length > most) {
      throw new BadImageError(
        name,
        `the compressed data unpacks to over ${most} bytes`,
        'Unpack it with a tool you trust, and look at it first.',
      );
    }
    if (used + piece.length > out.length) {
      const larger = new Uint8Array(Math.min(most, Math.max(2 * out.length, used + piece.length)));
      larger.set(out.subarray(0, used));
      out = larger;
    }
    out.set(piece, used);
    used += piece.length;
  }
  return out.subarray(0, used);
}

/** The unpacked bytes, piece by piece. @throws BadImageError when they are damaged, cut off, or take too long. */
export async function* inflating(
  format: 'gzip' | 'deflate-raw',
  data: Uint8Array<ArrayBuffer>,
  name: string,
  limits: DecodeLimits,
): AsyncGenerator<Uint8Array> {
  const deadline = performance.now() + limits.timeoutMs;
  const reader = new Blob([data]).stream().pipeThrough(new DecompressionStream(format)).getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read().catch((cause: unknown) => {
        throw new BadImageError(name, 'the compressed data is damaged or cut off', COPY_AGAIN, { cause });
      });
      if (done) return;
      if (performance.now() > deadline) {
        throw new BadImageError(name, `decoding took over ${limits.timeoutMs / 1000} s`);
      }
      yield value;
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}
