/** Which bank an evaluation takes, and that no tested image is in it. No device. */
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { chooseBank } from '../../src/cli/bank';
import type { BankFlags } from '../../src/cli/evaluation-flags';
import { openDataset } from '../../src/data/node/datasets';
import { memoryBankChunks } from '../../src/io/training-state';
import { imageIdentity } from '../../src/library/node';

const root = mkdtempSync(join(tmpdir(), 'mla-lp-bank-'));
const data = join(root, 'Tiny_AD');
const bank = join(root, 'model.bank.safetensors');
const model = join(root, 'model.safetensors');

beforeAll(async () => {
  for (const split of ['valid', 'test']) {
    for (const kind of ['good', 'Ungood']) {
      const folder = join(data, split, kind, 'img');
      mkdirSync(folder, { recursive: true });
      for (const i of [0, 1]) writeFileSync(join(folder, `${i}.png`), `${split} ${kind} ${i}`);
    }
  }
  const normals = [await imageIdentity(join(data, 'valid/good/img/1.png'))];
  async function* none() {}
  const metadata = new Map([['normals', JSON.stringify(normals)]]);
  const chunks: Uint8Array[] = [];
  for await (const chunk of memoryBankChunks([], none(), metadata)) chunks.push(chunk);
  writeFileSync(bank, Buffer.concat(chunks));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

async function choose(split: 'valid' | 'test', flags: Partial<BankFlags> = {}, plain = false) {
  const tested = await openDataset(data, { split });
  return chooseBank(
    { bank: 'on', augment: true, ...flags },
    { tested, path: data, model, trained: {}, plain },
  );
}

test('the file beside the model, unless other images are asked for', async () => {
  expect((await choose('test')).source).toBe(bank);
  const valid = ['0', '1'].map((name) => join(data, 'valid/good/img', `${name}.png`));
  expect((await choose('test', { augment: false })).source).toEqual({ images: valid, augment: false });
  expect((await choose('test', {}, true)).source).toEqual({ images: valid, augment: false });
  expect((await choose('test', { shots: 'all' })).source).toEqual({ images: valid, augment: true });
});

test('an image in the bank is not tested', async () => {
  await expect(choose('valid')).rejects.toThrow(/1\.png is in the memory bank .*model\.bank/);
  await expect(choose('valid', { bankFile: bank })).rejects.toThrow('is in the memory bank');
  await expect(choose('valid', { shots: 1 })).rejects.toThrow('would be in the memory bank and be tested');
});

test('--keep-going leaves broken images out of the bank, and says when none is left', async () => {
  const flags = { shots: 'all', keepGoing: true, quiet: true } as const;
  await expect(choose('test', flags)).rejects.toThrow('None of the 2 normal images');
  const good = join(data, 'valid/good/img/1.png');
  const text = readFileSync(good);
  copyFileSync('test/fixtures/images/rgb.png', good);
  try {
    const { source, description } = await choose('test', flags);
    expect(source).toEqual({ images: [good], augment: true });
    expect(description).toBe(
      '1 normal images (1 of 2 cannot be read and were left out), each in eleven versions',
    );
  } finally {
    writeFileSync(good, text);
  }
});
