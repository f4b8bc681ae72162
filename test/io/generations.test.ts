import { spawn } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { createRequire, syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { fileBytes } from '../../src/io/node/file-bytes';
import { openNewest, previousPath, saveGeneration, sweep } from '../../src/io/node/generations';
import { openSafetensors } from '../../src/io/safetensors';
import { readTrainingState, trainingStateChunks } from '../../src/io/training-state';
import { AbortedError, BadFileError, MlaLpError, OptionError } from '../../src/runtime/errors';
import type { TrainingState } from '../../src/training/state';

const promises = createRequire(import.meta.url)('node:fs/promises') as Record<string, unknown>;
let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mla-lp-test-'));
  path = join(folder, 'state.safetensors');
});
afterEach(() => {
  vi.restoreAllMocks();
  syncBuiltinESMExports();
  rmSync(folder, { recursive: true, force: true });
});

function stateAt(step: number): TrainingState {
  const tensor = (value: number) => ({ shape: [100], values: new Float32Array(100).fill(value) });
  return {
    parameters: new Map([['p', tensor(step)]]),
    slots: new Map([['adam.m.p', tensor(-step)]]),
    metadata: new Map([['step', String(step)]]),
  };
}
const save = (step: number, reader?: typeof read) =>
  saveGeneration(path, trainingStateChunks(stateAt(step)), reader);

async function read(from: string): Promise<TrainingState> {
  const bytes = await fileBytes(from);
  try {
    return await readTrainingState(await openSafetensors(bytes));
  } finally {
    await bytes.close();
  }
}

/** The step of a state that is whole in every part. */
function stepOf({ parameters, slots, metadata }: TrainingState): number {
  const step = Number(metadata.get('step'));
  expect(parameters.get('p')!.values.every((value) => value === step)).toBe(true);
  expect(slots.get('adam.m.p')!.values.every((value) => value === -step)).toBe(true);
  return step;
}
async function newest(): Promise<[number, string]> {
  const { value, generation } = await openNewest(path, read);
  return [stepOf(value), generation];
}
const flip = (file: string, at: number) => {
  const bytes = readFileSync(file);
  bytes[at < 0 ? bytes.length + at : at]! ^= 16;
  writeFileSync(file, bytes);
};
const names = () => readdirSync(folder).sort();
const BOTH = ['state.safetensors', 'state.safetensors.previous'];

test('two generations, the older under .previous, and nothing else', async () => {
  await save(1);
  expect(names()).toEqual(BOTH.slice(0, 1));
  for (const step of [2, 3, 4]) {
    await save(step);
    expect(names()).toEqual(BOTH);
    expect(await newest()).toEqual([step, 'newest']);
    expect(stepOf(await read(previousPath(path)))).toBe(step - 1);
  }
  // Not two names of one file: damage to one must not be damage to both.
  expect(statSync(path).ino).not.toBe(statSync(previousPath(path)).ino);
  if (process.platform !== 'win32')
    for (const name of names()) expect(statSync(join(folder, name)).mode & 0o777).toBe(0o600);
});

test('clocks do not order them', async () => {
  await save(1);
  await save(2);
  const years = 10 * 365 * 86_400;
  const now = Date.now() / 1000;
  for (const [mine, other] of [
    [-years, years],
    [years, -years],
  ] as const) {
    utimesSync(path, now + mine, now + mine);
    utimesSync(previousPath(path), now + other, now + other);
    expect(await newest()).toEqual([2, 'newest']);
  }
});

const damages: [string, () => void, RegExp][] = [
  ['a flipped bit in a tensor', () => flip(path, -1), /"slots\.adam\.m\.p" is damaged/],
  ['a flipped bit in the header', () => flip(path, 40), /./],
  ['a cut file', () => truncateSync(path, statSync(path).size - 1), /ends after/],
  ['an empty file', () => truncateSync(path, 0), /is empty/],
  ['no file', () => rmSync(path), /ENOENT/],
  [
    'a folder',
    () => {
      rmSync(path);
      mkdirSync(path);
    },
    /not a file/,
  ],
];

test.each(damages)('%s: the previous generation is given, and why', async (_, damage, why) => {
  await save(1);
  await save(2);
  damage();
  const { value, generation, path: from, refused } = await openNewest(path, read);
  expect([stepOf(value), generation, from]).toEqual([1, 'previous', previousPath(path)]);
  expect(refused).toBeInstanceOf(BadFileError);
  expect(refused!.message).toMatch(why);
  // Without a previous one, or with a damaged one, the newest one's error counts.
  flip(previousPath(path), -1);
  await expect(openNewest(path, read)).rejects.toThrow(refused!.message);
  rmSync(previousPath(path));
  await expect(openNewest(path, read)).rejects.toThrow(refused!.message);
});

test('what is not the file’s fault does not go back a generation', async () => {
  await save(1);
  await save(2);
  const tooMany = Object.assign(new Error('x'), { code: 'EMFILE' });
  for (const error of [
    new AbortedError(),
    new OptionError('another preset'),
    new TypeError('a bug'),
    new BadFileError(path, 'it cannot be opened (EMFILE)', '', undefined, { cause: tooMany }),
  ]) {
    const failing = (from: string) => (from === path ? Promise.reject(error) : read(from));
    await expect(openNewest(path, failing)).rejects.toBe(error);
    rmSync(path);
    const older = (from: string) => (from === path ? read(from) : Promise.reject(error));
    await expect(openNewest(path, older)).rejects.toBe(error);
    await save(2);
  }
});

test('a damaged present generation never displaces the good previous one', async () => {
  await save(1);
  await save(2);
  flip(path, -1);
  await save(2, read);
  expect(await newest()).toEqual([2, 'newest']);
  expect(stepOf(await read(previousPath(path)))).toBe(1);
  await save(3, read);
  expect(stepOf(await read(previousPath(path)))).toBe(2);
  const failing = async () => {
    throw new AbortedError();
  };
  await expect(saveGeneration(path, trainingStateChunks(stateAt(4)), failing)).rejects.toThrow(AbortedError);
  expect(await newest()).toEqual([3, 'newest']);
  expect(names()).toEqual(BOTH);
});

test('a save that fails in its chunks changes neither generation', async () => {
  await save(1);
  await save(2);
  const diverged = stateAt(3);
  diverged.parameters.get('p')!.values[7] = Number.NaN;
  await expect(saveGeneration(path, trainingStateChunks(diverged))).rejects.toThrow(/p is not saved/);
  const half = function* () {
    yield Uint8Array.of(1, 2, 3);
    throw new RangeError('mine');
  };
  await expect(saveGeneration(path, half())).rejects.toThrow(RangeError);
  expect(await newest()).toEqual([2, 'newest']);
  expect(stepOf(await read(previousPath(path)))).toBe(1);
  expect(names()).toEqual(BOTH);
});

test('after a kill between the two renames, both names are one file; the next save leaves no third', async () => {
  await save(1);
  linkSync(path, previousPath(path));
  await save(2);
  expect(names()).toEqual(BOTH);
  expect(stepOf(await read(previousPath(path)))).toBe(1);
});

function failing(name: string, code: string): ReturnType<typeof vi.spyOn> {
  const spy = vi.spyOn(promises as Record<string, () => Promise<void>>, name);
  spy.mockImplementation(() => Promise.reject(Object.assign(new Error(code), { code })));
  syncBuiltinESMExports();
  return spy;
}

test('a disk without second names gets a copy', async () => {
  await save(1);
  const spy = failing('link', 'EPERM');
  await save(2);
  await save(3);
  expect(spy).toHaveBeenCalledTimes(2);
  expect(await newest()).toEqual([3, 'newest']);
  expect(stepOf(await read(previousPath(path)))).toBe(2);
  expect(names()).toEqual(BOTH);
  failing('copyFile', 'ENOSPC');
  await expect(save(4)).rejects.toThrow(/ENOSPC.*Free some space/);
  expect(await newest()).toEqual([3, 'newest']);
  expect(names()).toEqual(BOTH);
});

test.each(['ENOSPC', 'EIO', 'EROFS', 'EMFILE'])('%s while writing: told, and both stay', async (code) => {
  await save(1);
  await save(2);
  const file = await open(fileURLToPath(import.meta.url), 'r');
  await file.close();
  const handles = Object.getPrototypeOf(file) as FileHandle;
  for (const [target, name] of [
    [handles, 'write'],
    [handles, 'sync'],
    [promises, 'rename'],
    [promises, 'open'],
  ] as const) {
    const spy = vi.spyOn(target as Record<string, () => Promise<void>>, name);
    spy.mockImplementation(() => Promise.reject(Object.assign(new Error(code), { code })));
    syncBuiltinESMExports();
    const error = await save(3).catch((thrown: unknown) => thrown);
    vi.restoreAllMocks();
    syncBuiltinESMExports();
    expect(error, name).toBeInstanceOf(MlaLpError);
    expect((error as MlaLpError).message).toContain(code);
    expect(await newest()).toEqual([2, 'newest']);
    expect(stepOf(await read(previousPath(path))), name).toBe(1);
    expect(names()).toEqual(BOTH);
  }
});

test('a folder that vanishes', async () => {
  await save(1);
  const vanishing = function* () {
    yield Uint8Array.of(1);
    rmSync(folder, { recursive: true });
  };
  await expect(saveGeneration(path, vanishing())).rejects.toThrow(/ENOENT.*Create the folder/);
  await expect(sweep(path)).rejects.toThrow(/ENOENT/);
});

test.skipIf(process.getuid?.() === 0 || process.platform === 'win32')('a read-only folder', async () => {
  await save(1);
  chmodSync(folder, 0o500);
  await expect(save(2)).rejects.toThrow(/EACCES.*may write to/);
  chmodSync(folder, 0o700);
  expect(await newest()).toEqual([1, 'newest']);
});

test('sweeping takes our temporary files of this path alone', async () => {
  await save(1);
  const stale = ['.state.safetensors.0123456789ab.tmp', '.state.safetensors.ffffffffffff.tmp'];
  const others = [
    '.other.safetensors.0123456789ab.tmp',
    '.state.safetensors.0123456789ab.tmp.bak',
    '.state.safetensors.0123456789AB.tmp',
    '.state.safetensors.x.0123456789ab.tmp',
    '.state.safetensors.tmp',
    '.stateXsafetensors.0123456789ab.tmp',
    'state.safetensors.0123456789ab.tmp',
    'state.safetensors.lock',
  ];
  for (const name of [...stale, ...others]) writeFileSync(join(folder, name), '');
  expect([...(await sweep(path))].sort()).toEqual(stale);
  expect(names()).toEqual([...others, 'state.safetensors'].sort());
  expect(await sweep(path)).toEqual([]);
});

let child: string;
beforeAll(async () => {
  const result = await build({
    entryPoints: [fileURLToPath(new URL('generations-child.ts', import.meta.url))],
    bundle: true,
    write: false,
    format: 'esm',
    target: 'es2022',
    platform: 'node',
    logLevel: 'error',
  });
  child = result.outputFiles[0]!.text;
});

interface Ended {
  readonly signal: string | null;
  readonly lines: readonly string[];
  readonly errors: string;
}

/** @param killAfter waits so long after the first line, ms, then kills; undefined waits for the end. */
function runChild(env: Record<string, string>, killAfter?: number): Promise<Ended> {
  const script = join(folder, 'child.mjs');
  if (!existsSync(script)) writeFileSync(script, child);
  return new Promise((done, fail) => {
    const running = spawn(process.execPath, [script, path], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let [out, errors, armed] = ['', '', killAfter !== undefined];
    running.stdout.on('data', (text) => {
      out += text;
      if (armed) setTimeout(() => running.kill('SIGKILL'), killAfter);
      armed = false;
    });
    running.stderr.on('data', (text) => {
      errors += text;
    });
    running.once('error', fail);
    running.once('close', (_, signal) => done({ signal, lines: out.split('\n').slice(0, -1), errors }));
  });
}

test('SIGKILL before every call of a save: a whole generation under its name each time', {
  timeout: 120_000,
}, async () => {
  await save(1);
  await save(2);
  const kept = join(folder, 'kept');
  mkdirSync(kept);
  for (const name of BOTH) copyFileSync(join(folder, name), join(kept, name));
  let [killed, replaced] = [0, 0];
  for (let at = 1; ; at++) {
    for (const name of BOTH) {
      // Both names may be one file now: writing into it would change both.
      rmSync(join(folder, name), { force: true });
      copyFileSync(join(kept, name), join(folder, name));
    }
    const { signal, lines, errors } = await runChild({ KILL_AT: String(at), SAVES: '1', ELEMENTS: '100' });
    expect(errors).toBe('');
    // Whatever the moment, neither name is missing or torn, and sweeping leaves these two alone.
    const [step, generation] = await newest();
    expect([2, 3], `call ${at}`).toContain(step);
    expect(generation, `call ${at}`).toBe('newest');
    expect([1, 2], `call ${at}`).toContain(stepOf(await read(previousPath(path))));
    if (lines.includes('saved 3')) expect(step).toBe(3);
    await sweep(path);
    expect(names().filter((name) => !/child\.mjs|kept|\.lock$/.test(name))).toEqual(BOTH);
    if (signal !== 'SIGKILL') {
      expect(lines).toEqual(['from 2 newest', 'saved 3', 'done']);
      break;
    }
    killed++;
    if (step === 3) replaced++;
  }
  // open, three writes, sync, link, rename, rm, rename, open, sync: none was left out.
  expect(killed).toBeGreaterThanOrEqual(11);
  expect(replaced).toBeGreaterThanOrEqual(2);
});

test('SIGKILL at 25 random moments: never torn, never behind what was said to be saved', {
  timeout: 120_000,
}, async () => {
  let said = 0;
  let stale = 0;
  for (let i = 0; i < 25; i++) {
    const { signal, lines, errors } = await runChild({ ELEMENTS: '200000' }, Math.random() * 100);
    expect([signal, errors]).toEqual(['SIGKILL', '']);
    // It took over the lock of the killed one, and went on from where that was.
    const [, from] = /^from (\d+) (?:newest|none)$/.exec(lines[0]!) ?? [];
    expect([said, said + 1]).toContain(Number(from));
    said = Math.max(Number(from), ...lines.slice(1).map((line) => Number(line.slice('saved '.length))));
    stale += names().filter((name) => name.endsWith('.tmp')).length;
    if (!existsSync(path)) continue;
    const [step, generation] = await newest();
    expect([said, said + 1]).toContain(step);
    expect(generation).toBe('newest');
    const older = await read(previousPath(path)).catch(() => undefined);
    if (step > 1) expect([step - 1, step]).toContain(stepOf(older!));
  }
  expect(said).toBeGreaterThan(3);
  // The kills did hit saves, and the temporary files they left are gone.
  expect(stale).toBeGreaterThan(0);
  await sweep(path);
  expect(names().filter((name) => name !== 'child.mjs')).toEqual([
    'state.safetensors',
    'state.safetensors.lock',
    'state.safetensors.previous',
  ]);
});
