/** Weights that the device converts: the bits that the host's conversion gives, in their place and nowhere else. */
import { expect, test } from 'vitest';
import { uniformAt } from '../../src/kernels/suite';
import { WeightCast } from '../../src/model/weight-cast';
import { BufferStore } from '../../src/runtime/buffer-store';
import { decodeF16, encodeF16 } from '../../src/runtime/float16';
import { openTestGpu } from '../helpers/gpu';

const gpu = await openTestGpu();
const SIZE = 2 ** 16;

const values = Float32Array.from({ length: SIZE }, (_, i) => uniformAt(i) * 2 ** ((i % 40) - 24));

test.each(['f32', 'f16'] as const)('ranges of a tensor in %s', async (dtype) => {
  // Without f16 there is no tensor in f16, but its bits can be had as f32 words.
  const kept = dtype === 'f16' && !gpu.caps.f16 ? 'u32' : dtype;
  const shape = [kept === 'u32' ? (3 * SIZE) / 2 : 3 * SIZE];
  const store = new BufferStore(gpu);
  const cast = await WeightCast.create(store, new Set([dtype]), SIZE);
  try {
    await store.create('w', { dtype: kept, shape });
    const halves = encodeF16(values);
    const stored = dtype === 'f32' ? halves : values;
    // Twice in a row from the same memory, the last before the first.
    await cast.write('w', stored, 2 * SIZE);
    await cast.write('w', stored.map((_, i) => stored[SIZE - 1 - i]!) as typeof stored, 0);
    await store.flush();
    const part = SIZE * (dtype === 'f32' ? 4 : 2);
    const bytes = await gpu.readBytes(store.get('w').buffer, 0, 3 * part);
    const want = dtype === 'f32' ? decodeF16(halves) : halves;
    const bytesOf = (data: Float32Array | Uint16Array) => new Uint8Array(data.buffer);
    expect(Buffer.compare(bytes.subarray(2 * part), bytesOf(want))).toBe(0);
    expect(Buffer.compare(bytes.subarray(0, part), bytesOf(want.slice().reverse()))).toBe(0);
    expect(bytes.subarray(part, 2 * part).every((byte) => byte === 0)).toBe(true);
  } finally {
    cast.destroy();
    store.destroy();
  }
});

test('takes what differs, is large and even, and begins where a binding may', async () => {
  const store = new BufferStore(gpu);
  const cast = await WeightCast.create(store, new Set(['f32']), 2 * SIZE);
  const halves = (count: number) => new Uint16Array(count);
  expect([
    cast.takes('f32', halves(SIZE), 0),
    cast.takes('f32', halves(2 * SIZE), 64),
    cast.takes('f32', halves(SIZE), 32),
    cast.takes('f32', halves(SIZE - 2), 0),
    cast.takes('f32', halves(SIZE + 1), 0),
    cast.takes('f32', halves(2 * SIZE + 2), 0),
    cast.takes('f32', new Float32Array(SIZE), 0),
    cast.takes('f16', new Float32Array(SIZE), 0),
    cast.takes('u32', halves(SIZE), 0),
  ]).toEqual([true, true, false, false, false, false, false, false, false]);
  cast.destroy();
});
