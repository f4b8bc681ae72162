/** f32 scores as integers of the same order: equal scores have equal keys, larger ones larger keys. */
import { ShapeError, ValueError } from '../runtime/errors';

/** Keys are split into 2^16 buckets (sign, exponent, 7 bits of mantissa), and the 16 bits below. */
export const BUCKETS = 65536;

const NEGATIVE_ZERO = -0x80000000;
const MAGNITUDE = 0x7fffffff;
const INFINITY_BITS = 0x7f800000;

/**
 * IEEE 754 floats compare as sign and magnitude: turning the magnitude of negative ones around gives two's complement. -0 gets
 * the key of 0.
 * @param into i32, at least as long as `map`. @throws ShapeError when it is not. @throws ValueError on NaN, naming the pixel.
 */
export function sortableKeys(map: Float32Array, into: Int32Array, what: string): void {
  if (into.length < map.length) throw new ShapeError(`${into.length} keys cannot hold ${map.length} scores.`);
  const bits = new Int32Array(map.buffer, map.byteOffset, map.length);
  for (let i = 0; i < bits.length; i++) {
    const b = bits[i]!;
    if ((b & MAGNITUDE) > INFINITY_BITS) {
      throw new ValueError(
        `${what}: pixel ${i} of its map is not a number.`,
        'Leave out images whose maps are invalid.',
      );
    }
    into[i] = b === NEGATIVE_ZERO ? 0 : b ^ ((b >> 31) & MAGNITUDE);
  }
}

/** 0..65535, ascending with the score. */
export function bucketOf(key: number): number {
  return (key >> 16) + BUCKETS / 2;
}

const convert = new Int32Array(1);
const converted = new Float32Array(convert.buffer);

export function scoreOf(key: number): number {
  convert[0] = key ^ ((key >> 31) & MAGNITUDE);
  return converted[0]!;
}
