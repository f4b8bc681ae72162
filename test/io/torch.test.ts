import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { memoryBytes } from '../../src/io/bytes';
import { openSafetensors } from '../../src/io/safetensors';
import { openTorch } from '../../src/io/torch';
import type { TensorSource } from '../../src/model/tensor-source';

const fixture = (name: string) =>
  memoryBytes(readFileSync(new URL(`../fixtures/weights/${name}`, import.meta.url)), name);

/** vitest compares large arrays element by element, slowly. */
const bits = (values: Float32Array) => Buffer.from(values.buffer, values.byteOffset, values.byteLength);

async function expectEqual(torch: TensorSource, twin: TensorSource, prefix = '') {
  const names = [...twin.tensors.keys()].map((name) => prefix + name);
  expect([...torch.tensors.keys()].sort()).toEqual(names.sort());
  for (const name of twin.tensors.keys()) {
    const info = torch.tensors.get(prefix + name)!;
    const { dtype, shape } = twin.tensors.get(name)!;
    expect(info).toEqual({ name: prefix + name, dtype, shape });
    const same = bits(await torch.read(prefix + name)).equals(bits(await twin.read(name)));
    expect(same, name).toBe(true);
  }
}

describe('files that PyTorch wrote', () => {
  it.each(['openai-jit.pt', 'openai-state.pt'])('%s holds what openai.safetensors holds', async (file) => {
    const torch = await openTorch(fixture(file));
    await expectEqual(torch, await openSafetensors(fixture('openai.safetensors')));
    await torch.close();
  });

  it('mla-lp.pth holds what mla-lp.safetensors holds, and the metrics', async () => {
    const torch = await openTorch(fixture('mla-lp.pth'));
    await expectEqual(torch, await openSafetensors(fixture('mla-lp.safetensors')), 'state_dict.');
    expect(Object.fromEntries(torch.metadata)).toEqual({
      AUC: '0.9',
      pAUC: '0.95',
      best: '1.85',
      epoch: '3',
    });
  });

  it('mvfa.pth holds the same adapters', async () => {
    const torch = await openTorch(fixture('mvfa.pth'));
    const twin = await openSafetensors(fixture('mla-lp.safetensors'));
    const adapters = [...twin.tensors].filter(([name]) => name.includes('adapters'));
    await expectEqual(torch, { ...twin, tensors: new Map(adapters) });
  });

  it('reads a part of a tensor', async () => {
    const torch = await openTorch(fixture('openai-state.pt'));
    const whole = await torch.read('token_embedding.weight');
    expect(await torch.read('token_embedding.weight', 100, 164)).toEqual(whole.slice(100, 164));
    expect(await torch.read('token_embedding.weight', 5, 5)).toEqual(new Float32Array(0));
  });
});
