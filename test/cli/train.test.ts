/** `mla-lp train` and `train-zero` as a user runs them: files in, a model out, and nothing lost on a bad day. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makePhantom } from '../../src/data/phantoms';
import { memoryBytes } from '../../src/io/bytes';
import { openSafetensors } from '../../src/io/safetensors';
import { imageIdentity } from '../../src/library/node';
import { encodePng } from '../../src/platform/node/encode-png';
import { CLI_ENTRY, runCli } from '../helpers/cli';
import { fixture } from '../helpers/goldens';

const root = mkdtempSync(join(tmpdir(), 'mla-lp-test-'));
const data = join(root, 'tiny');
const curves = JSON.parse(readFileSync(fixture('tiny/golden.json'), 'utf8')).presets;

/** The tiny golden images 1 and 3 are abnormal. */
beforeAll(() => {
  for (const folder of ['normal', 'abnormal', 'masks']) mkdirSync(join(data, folder), { recursive: true });
  for (const i of [0, 1, 2, 3]) {
    cpSync(fixture(`tiny/image${i}.png`), join(data, i % 2 ? 'abnormal' : 'normal', `image${i}.png`));
    if (i % 2) cpSync(fixture(`tiny/mask${i}.png`), join(data, 'masks', `image${i}.png`));
  }
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const TINY = [
  '--weights',
  fixture('tiny/clip.safetensors'),
  '--init',
  fixture('tiny/init.safetensors'),
  '--image-size',
  '100',
];

interface Line {
  readonly step: number;
  readonly epoch: number;
  readonly loss: number;
  readonly det: number;
  readonly seg: number;
}

function readLog(path: string): Line[] {
  const lines = readFileSync(path, 'utf8').trim().split('\n');
  // Times differ between runs, everything else must not.
  return lines.map((line) => ({ ...JSON.parse(line), ms: undefined }));
}

function hash(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

// All 20 steps, and preset authors: test/training/parity.test.ts.
describe.each(['paper'] as const)('preset %s', (preset) => {
  test('the loss curve is the reference, and detect uses the model right away', async () => {
    const [log, out] = [join(root, `${preset}.jsonl`), join(root, `${preset}.safetensors`)];
    const options = ['--shots', 'all', '--no-augment', '--no-shuffle', '--batch', '4', '--steps', '4'];
    const trained = await runCli([
      'train',
      data,
      ...TINY,
      ...options,
      '--preset',
      preset,
      '--log',
      log,
      '--out',
      out,
    ]);
    expect(trained.stderr).toContain('2 normal and 2 abnormal images, with masks');
    expect(trained.stderr).toMatch(/Step: [\d.]+ GFLOP in \d+ nodes/);
    expect(trained.code).toBe(0);
    const lines = readLog(log);
    expect(lines.map((line) => line.step)).toEqual(Array.from({ length: 4 }, (_, i) => i + 1));
    for (const [i, { loss, det, seg }] of lines.entries()) {
      expect(Math.abs(loss / curves[preset].loss_curve[i] - 1), `step ${i + 1}`).toBeLessThan(1e-3);
      expect(det + seg).toBeCloseTo(loss, 6);
    }
    const checkpoint = ['--weights', fixture('tiny/clip.safetensors'), '--checkpoint', out];
    const detected = await runCli(['detect', join(data, 'normal'), ...checkpoint, '--json', '--quiet']);
    expect(detected.code).toBe(0);
    const scores = detected.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).score);
    expect(scores).toHaveLength(2);
    // Nothing of the images' names or places goes into what is saved.
    const saved = [out, join(root, `${preset}.training.safetensors`)].map((path) =>
      readFileSync(path, 'latin1'),
    );
    for (const text of saved) expect(text).not.toMatch(/image\d|mla-lp-test/);
  });
});

describe('bad days', () => {
  const run = (out: string, ...extra: string[]) => [
    'train',
    data,
    ...TINY.slice(0, 4),
    '--image-size',
    '42',
    '--preset',
    'paper',
    '--batch',
    '3',
    '--steps',
    '8',
    '--save-every',
    '0',
    '--out',
    join(root, `${out}.safetensors`),
    '--log',
    join(root, `${out}.jsonl`),
    ...extra,
  ];

  /** Starts a run and sends it a signal once its log has so many lines. */
  async function interrupted(args: string[], log: string, lines: number, signal: NodeJS.Signals) {
    const child = spawn(process.execPath, [CLI_ENTRY, ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
    let stderr = '';
    child.stderr.on('data', (text) => {
      stderr += text;
    });
    const ended = new Promise<number | null>((done) => child.once('close', done));
    const count = () => (existsSync(log) ? readFileSync(log, 'utf8').split('\n').length - 1 : 0);
    while (count() < lines && child.exitCode === null) await new Promise((done) => setTimeout(done, 3));
    child.kill(signal);
    return { code: await ended, stderr };
  }

  test('killed at any moment, a resumed run ends in the same bits and the same log', async () => {
    const whole = await runCli(run('whole'));
    expect(whole.code).toBe(0);
    const log = join(root, 'killed.jsonl');
    await interrupted(run('killed'), log, 2, 'SIGKILL');
    await interrupted(run('killed', '--resume'), log, 5, 'SIGKILL');
    const last = await runCli(run('killed', '--resume'));
    expect(last.stderr).toMatch(/Resuming after step \d+/);
    expect(last.code).toBe(0);
    for (const ending of ['.safetensors', '.training.safetensors'])
      expect(hash(join(root, `killed${ending}`)), ending).toBe(hash(join(root, `whole${ending}`)));
    expect(readLog(log)).toEqual(readLog(join(root, 'whole.jsonl')));
    expect(readdirSync(root).filter((name) => /\.tmp$|\.lock$/.test(name))).toEqual([]);
  });

  test('Ctrl-C saves and says how to go on', async () => {
    const { code, stderr } = await interrupted(run('stopped'), join(root, 'stopped.jsonl'), 3, 'SIGINT');
    expect(stderr).toMatch(
      /Stopped after step \d+ of 8\. The same command with --resume goes on from there\./,
    );
    expect(code).toBe(130);
    expect((await runCli(run('stopped', '--resume'))).code).toBe(0);
    expect(hash(join(root, 'stopped.safetensors'))).toBe(hash(join(root, 'whole.safetensors')));
  });

  test('a damaged state falls back to the one before it', async () => {
    const path = join(root, 'whole.training.safetensors');
    const bytes = readFileSync(path);
    bytes[bytes.length - 100]! ^= 4;
    writeFileSync(path, bytes);
    const { code, stderr } = await runCli(run('whole', '--resume'));
    expect(stderr).toMatch(/is damaged.*The state before it is used/s);
    expect(code).toBe(0);
    expect(hash(join(root, 'whole.safetensors'))).toBe(hash(join(root, 'stopped.safetensors')));
  });

  test.each([
    ['nothing to resume', run('nothing', '--resume'), 1, /nothing\.training\.safetensors/],
    ['another seed', run('whole', '--resume', '--seed', '3'), 2, /seed was 111 and is now 3|other images/],
    ['more shots than images', run('more', '--shots', '9'), 2, /9/],
    ['no data set', ['train', join(root, 'nowhere'), ...TINY], 2, /nowhere/],
    ['no weights', ['train', data], 2, /No --weights were given/],
    ['a rate that is none', run('rate', '--lr-adapters', 'fast'), 2, /number of at least 0/],
    ['an image size that leaves no patch', run('size', '--image-size', '5'), 2, /no patch/],
    ['an output that is a folder', ['train', data, ...TINY, '--out', data], 2, /tiny: this is no file/],
  ])('%s: a clear error', async (_name, args, code, message) => {
    const result = await runCli(args);
    expect(result.stderr).toMatch(message);
    expect(result.code).toBe(code);
    expect(result.stderr).not.toMatch(/\n\s+at /);
  });

  test('two runs do not write one model', async () => {
    const log = join(root, 'twice.jsonl');
    const first = interrupted(run('twice'), log, 99, 'SIGINT');
    while (!existsSync(join(root, 'twice.safetensors.lock')))
      await new Promise((done) => setTimeout(done, 5));
    const second = await runCli(run('twice'));
    expect(second.stderr).toMatch(/process \d+ is writing there/);
    expect(second.code).toBe(2);
    expect((await first).code).toBe(0);
  });
});

test('method mvfa: adapters alone, every epoch kept, and a model that says what it was made of', async () => {
  const out = join(root, 'mvfa.safetensors');
  const sentences = join(root, 'sentences.txt');
  writeFileSync(sentences, '[normal]\na healthy scan.\n[abnormal]\na scan with a lesion.\n');
  const options = [
    '--method',
    'mvfa',
    '--prompts',
    sentences,
    '--no-augment',
    '--batch',
    '2',
    '--epochs',
    '2',
  ];
  const size = ['--image-size', '42', '--seed', '7', '--shots', '2'];
  const weights = TINY.slice(0, 2);
  const trained = await runCli([
    'train',
    data,
    ...weights,
    ...size,
    ...options,
    '--keep-epochs',
    '--out',
    out,
  ]);
  expect(trained.code).toBe(0);
  const open = async (path: string) =>
    openSafetensors(memoryBytes(Uint8Array.from(readFileSync(path)), path));
  const model = await open(out);
  expect([...model.tensors.keys()].some((name) => name.startsWith('prompt_learner'))).toBe(false);
  const said = Object.fromEntries(model.metadata);
  expect(said).toMatchObject({
    method: 'mvfa',
    dataset: 'tiny',
    shots: '2',
    seed: '7',
    epochs: '2',
    steps: '4',
  });
  expect(JSON.parse(said.sentences!)).toEqual({
    normal: ['a healthy scan.'],
    abnormal: ['a scan with a lesion.'],
  });
  const normals = [0, 2].map((i) => imageIdentity(join(data, 'normal', `image${i}.png`)));
  expect(JSON.parse(said.normals!).sort()).toEqual((await Promise.all(normals)).sort());
  const epochs = [1, 2].map((n) => join(root, `mvfa.epoch-${n}.safetensors`));
  expect(hash(epochs[1]!)).toBe(hash(out));
  const first = await open(epochs[0]!);
  expect(first.metadata.get('step')).toBe('2');
  const name = 'det_adapters.0.fc1.0.weight';
  expect(await first.read(name)).not.toEqual(await model.read(name));
  const detected = await runCli([
    'detect',
    join(data, 'abnormal'),
    ...weights,
    '--checkpoint',
    out,
    '--json',
    '--quiet',
  ]);
  expect(detected.code).toBe(0);
  expect(detected.stdout.trim().split('\n')).toHaveLength(2);
  const both = await runCli([
    'train',
    data,
    ...weights,
    ...size,
    ...options,
    '--object',
    'Brain',
    '--out',
    out,
  ]);
  expect(both.stderr).toMatch(/--object and --prompts exclude each other/);
  expect(both.code).toBe(2);
});

test('train-zero leaves one data set out and trains on single-set batches of the others', async () => {
  const zero = join(root, 'zero');
  for (const [d, name] of ['Alpha', 'Beta', 'Gamma'].entries()) {
    for (let i = 0; i < 4; i++) {
      const phantom = makePhantom(100 * d + i, { size: 56, abnormal: i % 2 === 1 });
      const folder = join(zero, `${name}_AD/test`, i % 2 ? 'Ungood' : 'good');
      mkdirSync(join(folder, 'img'), { recursive: true });
      writeFileSync(join(folder, 'img', `${i}.png`), await encodePng(phantom.image));
      if (i % 2 === 0 || name === 'Beta') continue;
      mkdirSync(join(folder, 'anomaly_mask'), { recursive: true });
      const mask = {
        width: 56,
        height: 56,
        data: Uint8Array.from({ length: 9408 }, (_, p) => 255 * phantom.mask[Math.floor(p / 3)]!),
      };
      writeFileSync(join(folder, 'anomaly_mask', `${i}.png`), await encodePng(mask));
    }
  }
  const [out, log] = [join(root, 'zero.safetensors'), join(root, 'zero.jsonl')];
  const options = [
    ...TINY.slice(0, 2),
    '--image-size',
    '56',
    '--batch',
    '3',
    '--epochs',
    '2',
    '--out',
    out,
    '--log',
    log,
  ];
  const { code, stderr } = await runCli(['train-zero', zero, '--hold-out', 'gamma', ...options]);
  expect(stderr).toContain('Beta: 2 normal and 2 abnormal images, without masks');
  expect(stderr).not.toContain('Gamma:');
  expect(code).toBe(0);
  // Four images of each set in batches of three: two batches a set, and half of them know no masks.
  const lines = readLog(log);
  expect(lines).toHaveLength(8);
  expect(lines.filter((line) => line.seg === 0)).toHaveLength(4);
  const unknown = await runCli(['train-zero', zero, '--hold-out', 'Delta', ...options]);
  expect(unknown.stderr).toMatch(/no data set Delta.*Alpha, Beta, Gamma/s);
  expect(unknown.code).toBe(2);
});
