/** The models of a training's epochs, and none of another training's. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { epochPath, ownEpochModels } from '../../src/cli/epoch-models';
import { memoryBankChunks } from '../../src/io/training-state';

let folder: string;
let model: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mla-lp-epochs-'));
  model = join(folder, 'model.safetensors');
});
afterEach(() => rmSync(folder, { recursive: true }));

async function put(path: string, step: number, more: Record<string, string> = {}): Promise<void> {
  async function* none() {}
  const metadata = new Map(Object.entries({ seed: '111', step: String(step), ...more }));
  const chunks: Uint8Array[] = [];
  for await (const chunk of memoryBankChunks([], none(), metadata)) chunks.push(chunk);
  writeFileSync(path, Buffer.concat(chunks));
}

test('by epoch, whatever was calibrated and whatever text columns each has', async () => {
  await put(model, 20, { calibration: '{}', columns: 'last' });
  for (const epoch of [1, 2, 10]) await put(epochPath(model, epoch), 2 * epoch, { columns: String(epoch) });
  expect(await ownEpochModels(model)).toEqual([1, 2, 10].map((epoch) => epochPath(model, epoch)));
});

test('those of another training are refused', async () => {
  await put(model, 4);
  await expect(ownEpochModels(model)).rejects.toThrow('Train with --keep-epochs');
  await put(epochPath(model, 1), 2);
  await put(epochPath(model, 3), 6);
  await expect(ownEpochModels(model)).rejects.toThrow('epoch-3.safetensors is of another training');
  await put(epochPath(model, 3), 2, { seed: '7' });
  await expect(ownEpochModels(model)).rejects.toThrow('their seed differ');
});
