import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeF16, encodeF16, encodeF16One } from '../../src/runtime/float16';

const all = Uint16Array.from({ length: 65536 }, (_, i) => i);
const values = decodeF16(all);

test('every bit pattern decodes to its value', () => {
  expect(values[0]).toBe(0);
  expect(Object.is(values[0x8000], -0)).toBe(true);
  expect(values[0x0001]).toBe(2 ** -24);
  expect(values[0x03ff]).toBe(1023 * 2 ** -24);
  expect(values[0x0400]).toBe(2 ** -14);
  expect(values[0x3c00]).toBe(1);
  expect(values[0x3c01]).toBe(1 + 2 ** -10);
  expect(values[0xc000]).toBe(-2);
  expect(values[0x7bff]).toBe(65504);
  expect(values[0x7c00]).toBe(Number.POSITIVE_INFINITY);
  expect(values[0xfc00]).toBe(Number.NEGATIVE_INFINITY);
  expect(values[0x7c01]).toBeNaN();
});

test('every value encodes back to its bit pattern, NaN to a NaN', () => {
  const back = encodeF16(values);
  const wrong = [...all].filter((i) =>
    Number.isNaN(values[i]) ? !Number.isNaN(decodeF16(back.subarray(i, i + 1))[0]) : back[i] !== i,
  );
  expect(wrong).toEqual([]);
});

test('halfway between neighbours rounds to even, a hair beside it to the nearer', () => {
  const wrong: number[] = [];
  for (let i = 0; i < 0x7bff; i++) {
    const [low, high] = [values[i]!, values[i + 1]!];
    const middle = (low + high) / 2;
    const hair = (high - low) * 2 ** -10; // every one of these is an f32
    if (encodeF16One(middle) !== (i % 2 === 0 ? i : i + 1)) wrong.push(i);
    if (encodeF16One(middle - hair) !== i || encodeF16One(middle + hair) !== i + 1) wrong.push(i);
    if (encodeF16One(-middle) !== (0x8000 | (i % 2 === 0 ? i : i + 1))) wrong.push(i);
  }
  expect(wrong).toEqual([]);
});

test('overflow gives infinity from 65520 on', () => {
  expect(encodeF16One(65519.99)).toBe(0x7bff);
  expect(encodeF16One(65520)).toBe(0x7c00);
  expect(encodeF16One(-1e30)).toBe(0xfc00);
});

test('rounding is monotonic and never further than half a step', () => {
  fc.assert(
    fc.property(fc.float({ noNaN: true, min: -65519, max: 65519 }), (x) => {
      const [y] = decodeF16(Uint16Array.of(encodeF16One(x)));
      const step = Math.max(2 ** -24, 2 ** (Math.floor(Math.log2(Math.abs(x) || 1)) - 10));
      expect(Math.abs(y! - x)).toBeLessThanOrEqual(step / 2 + 1e-30);
    }),
  );
});
