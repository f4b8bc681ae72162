/** IEEE 754 binary16 <-> binary32: JavaScript engines of the day lack Float16Array. */

const single = new Float32Array(1);
const bits = new Uint32Array(single.buffer);

/** The f32 value of one binary16 bit pattern. */
function decodeOne(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

let table: Float32Array | undefined;

/** Widens binary16 bit patterns to f32: exact. */
export function decodeF16(
  source: Uint16Array,
  target = new Float32Array(source.length),
): Float32Array<ArrayBuffer> {
  table ??= Float32Array.from({ length: 65536 }, (_, half) => decodeOne(half));
  for (let i = 0; i < source.length; i++) target[i] = table[source[i]!]!;
  return target as Float32Array<ArrayBuffer>;
}

/** Rounds one number to the nearest binary16 (ties to even; overflow gives infinity) and returns its bits. */
export function encodeF16One(value: number): number {
  single[0] = value;
  const x = bits[0]!;
  const sign = (x >>> 16) & 0x8000;
  const magnitude = x & 0x7fffffff;
  if (magnitude >= 0x7f800000) return sign | (magnitude > 0x7f800000 ? 0x7e00 : 0x7c00);
  if (magnitude >= 0x477ff000) return sign | 0x7c00; // 65520 and above round to infinity
  if (magnitude < 0x38800000) {
    // Subnormal: adding 0.5 lines the last kept bit up with f32's last bit, and the hardware rounds to even.
    single[0] = Math.abs(value) + 0.5;
    return sign | (bits[0]! - 0x3f000000);
  }
  const rounded = magnitude + 0xfff + ((magnitude >>> 13) & 1);
  return sign | ((rounded - 0x38000000) >>> 13);
}

/** Rounds f32 values to binary16 bit patterns. */
export function encodeF16(
  source: Float32Array,
  target = new Uint16Array(source.length),
): Uint16Array<ArrayBuffer> {
  const words = new Uint32Array(source.buffer, source.byteOffset, source.length);
  for (let i = 0; i < words.length; i++) {
    const x = words[i]!;
    // Normal before and after, as nearly all values are: in line, without a call.
    const magnitude = x & 0x7fffffff;
    if (magnitude >= 0x38800000 && magnitude < 0x477ff000) {
      const rounded = magnitude + 0xfff + ((magnitude >>> 13) & 1);
      target[i] = ((x >>> 16) & 0x8000) | ((rounded - 0x38000000) >>> 13);
    } else target[i] = encodeF16One(source[i]!);
  }
  return target as Uint16Array<ArrayBuffer>;
}
