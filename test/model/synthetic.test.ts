import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { memoryBytes } from '../../src/io/bytes';
import { asClipWeights } from '../../src/io/clip-names';
import { openSafetensors } from '../../src/io/safetensors';
import { syntheticCheckpoint, syntheticClip } from '../../src/model/synthetic';
import { elementCount, type TensorSource } from '../../src/model/tensor-source';
import { BadFileError, OptionError } from '../../src/runtime/errors';

const fixture = (name: string) =>
  openSafetensors(
    memoryBytes(Uint8Array.from(readFileSync(new URL(`../fixtures/tiny/${name}`, import.meta.url))), name),
  );

/** Names, shapes and values, bit for bit. Rows of a table may be fewer in the file. */
async function expectSame(made: TensorSource, stored: TensorSource): Promise<void> {
  expect([...made.tensors.keys()].sort()).toEqual([...stored.tensors.keys()].sort());
  for (const [name, { shape }] of stored.tensors) {
    expect(made.tensors.get(name)!.shape.length, name).toBe(shape.length);
    const [a, b] = await Promise.all([made.read(name, 0, elementCount(shape)), stored.read(name)]);
    expect(Buffer.compare(Buffer.from(a.buffer), Buffer.from(b.buffer)), name).toBe(0);
  }
}

test('the tiny CLIP is the reference’s', async () => {
  const stored = asClipWeights(await fixture('clip.safetensors'));
  const tensors = new Map(stored.tensors);
  tensors.delete('logit_scale');
  await expectSame(syntheticClip('tiny'), { ...stored, tensors });
});

test('the tiny checkpoint is the reference’s', async () => {
  await expectSame(syntheticCheckpoint('tiny'), await fixture('init.safetensors'));
});

test('ranges are parts of the whole, and stay inside', async () => {
  const source = syntheticClip('vitl14');
  for (const name of ['visual.conv1.weight', 'token_embedding.weight']) {
    const whole = await source.read(name, 1000, 3000);
    expect(await source.read(name, 1500, 1600)).toEqual(whole.slice(500, 600));
  }
  const count = elementCount(source.tensors.get('visual.proj')!.shape);
  expect((await source.read('visual.proj')).length).toBe(count);
  for (const [start, end] of [
    [0, count + 1],
    [-1, 2],
    [3, 2],
    [0.5, 2],
  ])
    await expect(source.read('visual.proj', start, end)).rejects.toThrow(BadFileError);
  await expect(source.read('visual.projection')).rejects.toThrow(BadFileError);
});

test('values have the spread of trained weights', async () => {
  const values = await syntheticClip('vitl14').read(
    'visual.transformer.resblocks.3.mlp.c_fc.weight',
    0,
    1 << 16,
  );
  const mean = values.reduce((sum, v) => sum + v, 0) / values.length;
  const spread = Math.sqrt(values.reduce((sum, v) => sum + v * v, 0) / values.length);
  expect(Math.abs(mean)).toBeLessThan(1e-3);
  expect(spread * Math.sqrt(1024)).toBeCloseTo(1, 1);
});

test('an unknown model is refused, naming those that are', () => {
  for (const name of ['vitl15', '', '__proto__', 'toString']) {
    expect(() => syntheticClip(name), name).toThrow(OptionError);
    expect(() => syntheticCheckpoint(name), name).toThrow(/vitl14/);
  }
});
