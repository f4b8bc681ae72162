import { tensorType } from '../../runtime/tensor-type';
import { type KernelCase, type OpSuite, uniformAt } from '../suite';
import { type CastAttrs, castOp } from './cast';
import { castReference } from './reference';

/** @param wordAt word i of x. */
function castCase(
  what: string,
  to: CastAttrs['to'],
  count: number,
  wordAt: (i: number) => number,
  bench = false,
): KernelCase<CastAttrs> {
  return {
    name: `to ${to} [${count}] ${what}`,
    inputs: [tensorType('u32', [count])],
    attrs: { to },
    fill: (_, length) => Float64Array.from({ length }, (_, i) => wordAt(i) >>> 0),
    bench,
  };
}

const bitsOf = (value: number) => new Uint32Array(Float32Array.of(value).buffer)[0]!;

/** Numbers of a layer's usual size. */
const weights = (i: number) => bitsOf(uniformAt(i) / 16);

/** Any 32 bits. */
const anyBits = (i: number) => Math.floor((uniformAt(i) + 1) * 2 ** 31);

/** f32 of any magnitude that binary16 has, and around it: 2^-30 to 2^17. */
const anyMagnitude = (i: number) => {
  const exponent = 97 + (i % 48);
  return (anyBits(i) & 0x807fffff) | (exponent << 23);
};

/** Every binary16 number but NaN, whose bits are free. */
const numbers = Uint16Array.from({ length: 65536 }, (_, i) => i).filter((i) => (i & 0x7fff) <= 0x7c00);

/** What lies between a finite binary16 number and the next one, halfway and next to halfway, as f32 bits. */
function aroundTies(i: number): number {
  const half = Math.floor(i / 4);
  const value = (h: number) => (h < 0x0400 ? h * 2 ** -24 : (1024 + (h & 0x3ff)) * 2 ** ((h >> 10) - 25));
  const middle = bitsOf((value(half) + value(half + 1)) / 2);
  return [middle - 1, middle, middle + 1, middle | 0x80000000][i % 4]!;
}

export const castSuite: OpSuite<CastAttrs> = {
  op: castOp,
  reference: castReference,
  shaped: {
    axes: ['words'],
    choices: { to: ['f32', 'f16'] },
    make: ([words], _dtype, { to }) => castCase('weights', to as CastAttrs['to'], words!, weights),
  },
  cases: [
    castCase('weights', 'f32', 2 ** 17, (i) => 0x2c003800 ^ (i % 1024), true),
    castCase('weights', 'f16', 2 ** 18, weights, true),
    castCase('every number', 'f32', numbers.length / 2, (i) => numbers[2 * i]! | (numbers[2 * i + 1]! << 16)),
    castCase('of an odd count', 'f32', 257, (i) => numbers[i * 124]! | (numbers[63000 - i * 200]! << 16)),
    castCase('to subnormal and infinity', 'f32', 3, (i) => [0x03ff0200, 0xfc007c00, 0x80010400][i]!),
    castCase('one', 'f32', 1, () => 0x3c00bc00),
    castCase('around ties', 'f16', 4 * 0x7bff, aroundTies),
    // One in thirty-one of them.
    castCase('around some ties', 'f16', 4096, (i) => aroundTies((i >> 2) * 124 + (i % 4))),
    castCase('of any magnitude', 'f16', 4802, anyMagnitude),
    castCase(
      'zeros, subnormal and tiny f32, the largest, infinity',
      'f16',
      14,
      (i) =>
        [
          0, 0x80000000, 1, 0x807fffff, 0x00800000, 0x477fefff, 0x477ff000, 0x477fe000, 0x7f7fffff,
          0x7f800000, 0xff800000, 0xc77ff000, 0x0e800000, 0x8e9fffff,
        ][i]!,
    ),
  ],
};
