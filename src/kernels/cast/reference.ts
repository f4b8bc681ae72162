import type { OpCall } from '../../runtime/op';
import type { CastAttrs } from './cast';

/** The value of binary16 bits, from the definition of the format. */
function decoded(half: number): number {
  const sign = half >= 0x8000 ? -1 : 1;
  const exponent = (half >> 10) % 32;
  const fraction = half % 1024;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (exponent === 0 ? fraction : 1024 + fraction) * 2 ** (Math.max(exponent, 1) - 25);
}

/** The nearest binary16 bits; of two that are equally near, the even ones. */
function halfOf(value: number): number {
  const magnitude = Math.abs(value);
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  if (Number.isNaN(value)) return 0x7e00;
  if (magnitude >= 65520) return sign + 0x7c00;
  const exponent = Math.max(Math.floor(Math.log2(magnitude)), -14);
  const steps = magnitude / 2 ** (exponent - 10);
  const down = Math.floor(steps);
  const up = steps - down > 0.5 || (steps - down === 0.5 && down % 2 === 1) ? 1 : 0;
  // Subnormal steps count from 0, others from 1024; a carry goes into the exponent by itself.
  return sign + (exponent + 14) * 1024 + down + up;
}

export function castReference(
  [x]: readonly Float64Array[],
  { attrs: { to } }: OpCall<CastAttrs>,
): Float64Array[] {
  const words = Uint32Array.from(x!);
  if (to === 'f32') {
    const values = Float32Array.from({ length: 2 * words.length }, (_, i) =>
      decoded((words[i >> 1]! >>> (16 * (i % 2))) % 65536),
    );
    return [Float64Array.from(new Uint32Array(values.buffer))];
  }
  const halves = Uint16Array.from(new Float32Array(words.buffer), halfOf);
  return [Float64Array.from(new Uint32Array(halves.buffer))];
}
