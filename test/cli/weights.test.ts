import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { registerWeights, type WeightsReport } from '../../src/cli/commands/weights';
import { progressBar } from '../../src/cli/progress';
import { BadFileError } from '../../src/runtime/errors';
import { dict, makeTorch, pickle, tensor } from '../io/make-torch';

const fixture = (name: string) => fileURLToPath(new URL(`../fixtures/weights/${name}`, import.meta.url));

let folder: string;
let out: string[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'weights-'));
  out = [];
  vi.spyOn(console, 'log').mockImplementation((line: string) => void out.push(line));
});

afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

/** What `mla-lp weights ...` prints. */
async function run(...args: string[]): Promise<string> {
  const program = new Command('mla-lp').exitOverride().configureOutput({ writeErr: () => {} });
  registerWeights(program);
  await program.parseAsync(['weights', ...args], { from: 'user' });
  return out.join('\n');
}

const inspect = async (file: string) => JSON.parse(await run('inspect', file, '--json')) as WeightsReport;

/** A file of tensors that all share one storage. */
function write(name: string, shapes: Record<string, number[]>): string {
  const values = Object.fromEntries(
    Object.entries(shapes).map(([key, shape]) => {
      const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((a, b) => a * b, 1));
      return [key, tensor({ length: 64, shape, strides })];
    }),
  );
  const path = join(folder, name);
  writeFileSync(path, makeTorch(pickle(dict(values)), { 0: new Uint8Array(256) }));
  return path;
}

describe('weights inspect', () => {
  it.each([
    ['openai-jit.pt', 'TorchScript', 86],
    ['openai-state.pt', 'torch.save', 86],
    ['openai.safetensors', 'safetensors', 86],
    ['hf.safetensors', 'safetensors', 110],
    ['sharded/model.safetensors.index.json', 'index of shards', 110],
  ])('%s is a CLIP', async (file, format, tensors) => {
    const report = await inspect(fixture(file));
    expect(report).toMatchObject({ format, kind: 'clip', extra: [], parameters: 1_051_969 });
    expect(report.clip).toMatchObject({
      width: 128,
      layers: 4,
      heads: 2,
      patch: 14,
      pretrainGrid: 6,
      embed: 48,
    });
    expect(report.tensors).toHaveLength(tensors);
    expect(report.bytesF16).toBe(2 * report.parameters);
    expect(report.problem).toBeUndefined();
  });

  it('mla-lp.pth and mvfa.pth are checkpoints', async () => {
    const report = await inspect(fixture('mla-lp.pth'));
    expect(report.checkpoint).toEqual({
      stages: 4,
      width: 128,
      embed: 48,
      hasPrompts: true,
      promptVectors: 8,
      textWidth: 64,
    });
    expect(report.metadata).toMatchObject({ AUC: '0.9', epoch: '3' });
    out = [];
    expect((await inspect(fixture('mvfa.pth'))).checkpoint).toMatchObject({ stages: 4, hasPrompts: false });
  });

  it('names what is missing, and what is too much', async () => {
    const file = write('part.pt', {
      'visual.conv1.weight': [1, 3, 2, 2],
      other: [3],
      'odd\u001b[2Jname': [1],
    });
    const report = await inspect(file);
    expect(report.kind).toBe('clip');
    expect(report.problem).toMatch(/missing/);
    expect(report.extra).toEqual(['other', 'odd\u001b[2Jname']);
    out = [];
    const text = await run('inspect', file);
    expect(text).toMatch(/NOT USABLE +.*missing/);
    expect(text).toMatch(/not needed +other, odd\ufffd\[2Jname/);
    expect(text).not.toContain('\u001b');
  });

  it('says that a checkpoint lacks a stage, and that something is neither', async () => {
    const half = write('half.pth', {
      'seg_adapters.0.fc1.0.weight': [2, 4],
      'seg_adapters.0.fc2.0.weight': [4, 2],
    });
    expect(await inspect(half)).toMatchObject({
      kind: 'checkpoint',
      problem: expect.stringMatching(/det_adapters/),
    });
    out = [];
    expect(await inspect(write('other.pt', { other: [3] }))).toMatchObject({
      kind: 'unknown',
      extra: ['other'],
    });
  });

  it("knows april-gan's linear layers", async () => {
    const layer = 'trainable_linearlayer.fc.0';
    const file = write('layers.pth', { [`${layer}.weight`]: [2, 4], [`${layer}.bias`]: [2], other: [3] });
    expect(await inspect(file)).toMatchObject({ kind: 'layers', extra: ['other'] });
  });

  it('prints a table for people', async () => {
    const text = await run('inspect', fixture('openai-jit.pt'));
    expect(text).toMatch(/image tower +4 blocks, width 128, 2 heads, MLP 512/);
    expect(text).toMatch(/trained at 84 px/);
    expect(text).toMatch(/visual\.conv1\.weight +F16 +\[128, 3, 14, 14\] +150528/);
    expect(text).toMatch(/1051969 parameters/);
  });

  it('refuses what is no weights file', async () => {
    const page = join(folder, 'x.pt');
    writeFileSync(page, '<!doctype html><html></html>');
    await expect(run('inspect', page)).rejects.toThrow(/web page/);
    await expect(run('inspect', join(folder, 'nowhere'))).rejects.toThrow(BadFileError);
    writeFileSync(page, readFileSync(fixture('mvfa.pth')).subarray(0, 90_000));
    await expect(run('inspect', page)).rejects.toThrow(/cut short/);
    writeFileSync(page, '');
    await expect(run('inspect', page)).rejects.toThrow(/empty/);
  });
});

describe('weights list and pull', () => {
  it('lists what is known and what is here', async () => {
    vi.stubEnv('MLA_LP_CACHE', folder);
    writeFileSync(join(folder, 'ViT-B-32.pt'), '');
    const text = await run('list');
    expect(text).toMatch(/ViT-L-14-336px +MIT +.*not pulled/);
    expect(text).toMatch(/ViT-B-32 .*ViT-B-32\.pt/);
    expect(text).toMatch(/phantom-clip .*ships/);
    out = [];
    const lines = (await run('list', '--json'))
      .split('\n')
      .map((line) => JSON.parse(line) as { name: string });
    expect(lines).toHaveLength(5);
  });

  it('pulls into a folder and prints the path', async () => {
    const shipped = readFileSync(new URL('../../weights/phantom-clip.safetensors', import.meta.url));
    const server = createServer((_, response) => response.end(shipped));
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    const mirror = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    try {
      const path = await run('pull', 'phantom-clip', '--mirror', mirror, '--to', folder, '--quiet');
      expect(path).toBe(join(folder, 'phantom-clip.safetensors'));
      const sum = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
      expect(sum(readFileSync(path))).toBe(sum(shipped));
    } finally {
      server.close();
    }
  });

  it('refuses unknown names', async () => {
    await expect(run('pull', 'ViT-G')).rejects.toThrow(/There are: ViT-L-14-336px/);
  });
});

describe('the progress line', () => {
  it('redraws on a terminal, with rate and time left, and ends its line', () => {
    let now = 0;
    const written: string[] = [];
    const stream = { isTTY: true, write: (text: string) => written.push(text) };
    const bar = progressBar({ label: 'detect', total: 10, unit: 'images', stream, now: () => now });
    now = 2000;
    bar.update(4);
    bar.update(5); // too soon after the last one to be drawn
    bar.finish();
    bar.finish();
    expect(written).toHaveLength(2);
    expect(written[0]).toMatch(/^\rdetect {2}\[#{10}\.{14}\] {2}4\/10 images {2}2\.00\/s {2}3\.0 s left/);
    expect(written[1]).toMatch(/5\/10 images.*\n$/);
  });

  it('writes a line now and then elsewhere, and nothing when quiet', () => {
    let now = 0;
    const written: string[] = [];
    const stream = { write: (text: string) => written.push(text) };
    const options = { label: 'x', total: 2 ** 21, unit: 'bytes', stream, now: () => now };
    const bar = progressBar(options);
    for (; now <= 25_000; now += 1000) bar.update(now);
    bar.finish();
    expect(written).toHaveLength(3);
    expect(written.join('')).not.toContain('\r');
    expect(written[0]).toMatch(/^x {2}9\.8 KiB\/2\.0 MiB {2}1000 B\/s {2}\d+ min \d+ s left\n$/);
    const silent = progressBar({ ...options, quiet: true });
    silent.update(5);
    silent.finish();
    expect(written).toHaveLength(3);
  });
});
