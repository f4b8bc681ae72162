import { type ChildProcess, spawn } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { acquireLock } from '../../src/io/node/lock';
import { MlaLpError, OptionError } from '../../src/runtime/errors';

let folder: string;
let path: string;
let file: string;
const running: ChildProcess[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mla-lp-test-'));
  path = join(folder, 'state');
  file = `${path}.lock`;
});
afterEach(() => {
  for (const child of running.splice(0)) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

/** Takes the lock, says so, waits for a line and ends in the way told; or races for one lock after the other, and keeps each. */
const SOURCE = `
  import { acquireLock } from './src/io/node/lock';
  const [path, how, rounds] = process.argv.slice(2);
  const say = (text) => process.stdout.write(text + '\\n');
  const line = () => new Promise((done) => process.stdin.once('data', done));
  if (how === 'race') {
    say('ready');
    const start = Number(await line());
    for (let i = 0; i < rounds; i++) {
      while (Date.now() < start + i * 40) await new Promise((done) => setTimeout(done, 1));
      await acquireLock(path + i).then(
        () => say(i),
        (error) => error.name === 'OptionError' || say(error.stack),
      );
    }
    say('done');
    // None is given back before all have lost.
    await new Promise((done) => setTimeout(done, 2000));
    process.exit(0);
  }
  const lock = await acquireLock(path);
  say('held ' + process.pid);
  await line();
  if (how === 'release') await lock.release();
  if (how === 'throw') throw new RangeError('mine');
  process.exit(0);
`;
let script: string;
beforeAll(async () => {
  const result = await build({
    stdin: {
      contents: SOURCE,
      resolveDir: fileURLToPath(new URL('../..', import.meta.url)),
      loader: 'ts',
    },
    bundle: true,
    write: false,
    format: 'esm',
    target: 'es2022',
    platform: 'node',
    logLevel: 'error',
  });
  script = result.outputFiles[0]!.text;
});

interface Child {
  readonly process: ChildProcess;
  readonly firstLine: Promise<string>;
  readonly ended: Promise<string>;
}

function startChild(how: 'release' | 'exit' | 'throw' | 'race', rounds?: number): Child {
  const at = join(folder, 'child.mjs');
  if (!existsSync(at)) writeFileSync(at, script);
  const args = [at, path, how, String(rounds)];
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'ignore'] });
  running.push(child);
  let out = '';
  const firstLine = new Promise<string>((done) => {
    child.stdout.on('data', (text) => {
      out += text;
      if (out.includes('\n')) done(out.slice(0, out.indexOf('\n')));
    });
  });
  const ended = new Promise<string>((done) => child.once('close', () => done(out)));
  return { process: child, firstLine, ended };
}

const names = () => readdirSync(folder).filter((name) => name !== 'child.mjs');
const holder = (patch: object) =>
  writeFileSync(file, JSON.stringify({ pid: process.pid, host: hostname(), token: 'abc', ...patch }));
/** A number that no process has any more. */
async function deadPid(): Promise<number> {
  const child = spawn(process.execPath, ['-e', '']);
  await new Promise((done) => child.once('close', done));
  return child.pid!;
}

test('held once, also within a process; free after release', async () => {
  const lock = await acquireLock(path);
  expect(names()).toEqual(['state.lock']);
  if (process.platform !== 'win32') expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({ pid: process.pid, host: hostname() });
  const error = await acquireLock(path).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(OptionError);
  expect((error as OptionError).message).toMatch(new RegExp(`process ${process.pid} .*Wait for it`));
  const other = await acquireLock(`${path}2`);
  await other.release();
  await lock.release();
  await lock.release();
  expect(names()).toEqual([]);
  await (await acquireLock(path)).release();
});

test('of many calls at once, one gets it', async () => {
  const all = await Promise.allSettled(Array.from({ length: 20 }, () => acquireLock(path)));
  const got = all.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  expect(got).toHaveLength(1);
  for (const one of all) if (one.status === 'rejected') expect(one.reason).toBeInstanceOf(OptionError);
  await got[0]!.release();
  expect(names()).toEqual([]);
});

test('a living process holds it; SIGKILL frees it', async () => {
  const child = startChild('release');
  expect(await child.firstLine).toBe(`held ${child.process.pid}`);
  await expect(acquireLock(path)).rejects.toThrow(new RegExp(`process ${child.process.pid} is writing`));
  child.process.kill('SIGKILL');
  await child.ended;
  expect(existsSync(file)).toBe(true);
  const lock = await acquireLock(path);
  expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({ pid: process.pid });
  await lock.release();
  expect(names()).toEqual([]);
});

test.each(['release', 'exit', 'throw'] as const)('a process that ends by %s leaves no lock', async (how) => {
  const child = startChild(how);
  await child.firstLine;
  expect(existsSync(file)).toBe(true);
  child.process.stdin!.write('\n');
  await child.ended;
  expect(names()).toEqual([]);
});

test('another host’s lock stays, and the error says how to remove it', async () => {
  holder({ pid: await deadPid(), host: 'else\u001bwhere' });
  const error = await acquireLock(path).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(OptionError);
  expect((error as OptionError).message).toContain('"else\\u001bwhere"');
  expect((error as OptionError).remedy).toContain(`remove ${file}`);
  expect(existsSync(file)).toBe(true);
});

test('our own number with a token that is not ours is an earlier life in the same container', async () => {
  holder({});
  await (await acquireLock(path)).release();
  expect(names()).toEqual([]);
});

test('a lock whose writer was killed before its text was there is taken over', {
  timeout: 20_000,
}, async () => {
  for (const text of ['', '{"pid":12', '{"pid":0,"host":"a","token":"b"}', 'null', 'x'.repeat(100)]) {
    writeFileSync(file, text);
    await (await acquireLock(path)).release();
    expect(names(), text).toEqual([]);
  }
});

test('a takeover that was killed is taken over itself', async () => {
  const dead = JSON.stringify({ pid: await deadPid(), host: hostname(), token: 'abc' });
  for (const name of [file, `${file}.takeover`, `${file}.takeover.takeover`]) writeFileSync(name, dead);
  await (await acquireLock(path)).release();
  expect(names()).toEqual([]);
});

test('a takeover under way by a living process is waited for', async () => {
  const guard = JSON.stringify({ pid: process.ppid, host: hostname(), token: 'x' });
  holder({ pid: await deadPid() });
  writeFileSync(`${file}.takeover`, guard);
  setTimeout(() => rmSync(`${file}.takeover`), 100);
  await (await acquireLock(path)).release();
  expect(names()).toEqual([]);
  holder({ pid: await deadPid() });
  writeFileSync(`${file}.takeover`, guard);
  await expect(acquireLock(path)).rejects.toThrow(/takeover: process \d+ is writing there/);
});

test('of many processes that find a stale lock at the same moment, one gets it', {
  timeout: 120_000,
}, async () => {
  const rounds = 30;
  const dead = JSON.stringify({ pid: await deadPid(), host: hostname(), token: 'abc' });
  for (let i = 0; i < rounds; i++) writeFileSync(`${path}${i}.lock`, dead);
  const children = Array.from({ length: 4 }, () => startChild('race', rounds));
  for (const { firstLine } of children) expect(await firstLine).toBe('ready');
  // They wait for one clock, not for us.
  for (const { process: child } of children) child.stdin!.write(`${Date.now() + 100}\n`);
  const wins = (await Promise.all(children.map(({ ended }) => ended))).flatMap((out) => {
    expect(out).toMatch(/^ready\n(\d+\n)*done\n$/);
    return out.split('\n').slice(1, -2).map(Number);
  });
  expect(wins.sort((a, b) => a - b)).toEqual(Array.from({ length: rounds }, (_, i) => i));
  expect(names()).toEqual([]);
});

test('what somebody else put in place of our lock is not removed', async () => {
  const lock = await acquireLock(path);
  holder({ token: 'another' });
  await lock.release();
  expect(existsSync(file)).toBe(true);
  rmSync(file);
  const again = await acquireLock(path);
  rmSync(file);
  await again.release();
});

test('a folder that is not there', async () => {
  const error = await acquireLock(join(folder, 'none', 'x')).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(MlaLpError);
  expect((error as MlaLpError).message).toMatch(/ENOENT.*Create the folder/);
});

test.skipIf(process.getuid?.() === 0 || process.platform === 'win32')('a read-only folder', async () => {
  chmodSync(folder, 0o500);
  await expect(acquireLock(path)).rejects.toThrow(/EACCES/);
  chmodSync(folder, 0o700);
});
