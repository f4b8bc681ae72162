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
import { type FileHandle, open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { openLog } from '../../src/io/node/json-log';
import { MlaLpError } from '../../src/runtime/errors';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mla-lp-test-'));
  path = join(folder, 'log.jsonl');
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true, force: true });
});
const text = () => readFileSync(path, 'utf8');
const line = (step: number) => `{"step":${step},"loss":${step / 8}}\n`;
const lines = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, i) => line(from + i)).join('');

async function appendSteps(from: number, to: number, options?: { keepUpToStep?: number }): Promise<void> {
  const log = await openLog(path, options);
  for (let step = from; step <= to; step++) await log.append({ step, loss: step / 8 });
  await log.close();
}

test('a new log, one line an object, for the user alone', async () => {
  await appendSteps(1, 3);
  expect(text()).toBe(lines(1, 3));
  if (process.platform !== 'win32') expect(statSync(path).mode & 0o777).toBe(0o600);
  await appendSteps(7, 7);
  expect(text()).toBe(line(7));
  expect(readdirSync(folder)).toEqual(['log.jsonl']);
});

test('lines are there before the log is closed', async () => {
  const log = await openLog(path);
  await log.append({ step: 1, loss: 0.125 });
  expect(text()).toBe(line(1));
  await log.close();
  await log.close();
  await expect(log.append({ step: 2 })).rejects.toThrow(MlaLpError);
});

test('a resumed log is the one of a run that was never interrupted', async () => {
  await appendSteps(1, 10);
  const uninterrupted = text();
  for (const [kept, tail] of [
    [4, ''],
    [4, '{"step":11,"lo'],
    [9, '{"step":1'],
    [0, ''],
    [10, '\0\0\0\0'],
    [12, '"step'],
  ] as const) {
    writeFileSync(path, uninterrupted + tail);
    await appendSteps(kept + 1, 10, { keepUpToStep: kept });
    expect(text(), `${kept} ${tail}`).toBe(uninterrupted);
  }
  rmSync(path);
  await appendSteps(1, 10, { keepUpToStep: 0 });
  expect(text()).toBe(uninterrupted);
});

test('what is kept stays byte for byte; lines without a step go', async () => {
  const odd = '{ "step": 2, "note": "é\\u00e9", "step": 1 }';
  const broken = Buffer.concat([Buffer.from('{"step":1,"x":"'), Buffer.of(0xff), Buffer.from('"}\n')]);
  const others = '\n{"loss":1}\n{"step":"1"}\nnull\n[1]\n{"step":1\n';
  writeFileSync(
    path,
    Buffer.concat([Buffer.from(`${odd}\n`), broken, Buffer.from(others + line(3) + line(1))]),
  );
  await appendSteps(2, 2, { keepUpToStep: 1 });
  expect(text()).toBe(`${odd}\n${line(1)}${line(2)}`);
  // A last line that lacks nothing but its end.
  writeFileSync(path, line(1) + line(2).trimEnd());
  await appendSteps(3, 3, { keepUpToStep: 2 });
  expect(text()).toBe(lines(1, 3));
});

/** The class behind node's file handles, to break its methods. */
async function handleClass(): Promise<FileHandle> {
  const file = await open(fileURLToPath(import.meta.url), 'r');
  await file.close();
  return Object.getPrototypeOf(file) as FileHandle;
}
type Call = (this: FileHandle, ...args: unknown[]) => Promise<never>;
const systemError = (code: string) => Object.assign(new Error(code), { code });

test('calls that nobody waits for do not mix, even on a disk that takes few bytes', async () => {
  const handles = await handleClass();
  const whole = handles.write as unknown as Call;
  const few: Call = function (data, offset, length, position) {
    return whole.call(this, data, offset, Math.min(3, length as number), position);
  };
  const spy = vi.spyOn(handles, 'write').mockImplementation(few as never);
  const log = await openLog(path);
  const all = [1, 2, 3].map((step) => log.append({ step, loss: step / 8 }));
  await log.close();
  await Promise.all(all);
  expect(text()).toBe(lines(1, 3));
  expect(spy.mock.calls.length).toBeGreaterThan(15);
});

test('a full disk is told; no half line stays, and later lines are whole', async () => {
  const log = await openLog(path);
  await log.append({ step: 1, loss: 0.125 });
  const handles = await handleClass();
  const whole = handles.write as unknown as Call;
  let calls = 0;
  const full: Call = function (data, offset, _, position) {
    if (++calls > 1) return Promise.reject(systemError('ENOSPC'));
    return whole.call(this, data, offset, 5, position);
  };
  const spy = vi.spyOn(handles, 'write').mockImplementation(full as never);
  const error = await log.append({ step: 99 }).catch((thrown: unknown) => thrown);
  spy.mockRestore();
  expect(error).toBeInstanceOf(MlaLpError);
  expect((error as MlaLpError).message).toMatch(/log\.jsonl.*ENOSPC.*Free some space/);
  expect(text()).toBe(line(1));
  await log.append({ step: 2, loss: 0.25 });
  await log.close();
  expect(text()).toBe(lines(1, 2));
});

test('closing makes it durable, or says that it is not', async () => {
  const log = await openLog(path);
  const handles = await handleClass();
  const spy = vi.spyOn(handles, 'sync').mockRejectedValue(systemError('EIO'));
  await expect(log.close()).rejects.toThrow(/EIO/);
  expect(spy).toHaveBeenCalledTimes(1);
});

test('a folder that is not there, a folder in place of the log', async () => {
  await expect(openLog(join(folder, 'none', 'log'))).rejects.toThrow(/ENOENT.*Create the folder/);
  await expect(openLog(folder)).rejects.toThrow(/cannot be written/);
  await expect(openLog(folder, { keepUpToStep: 1 })).rejects.toThrow(/EISDIR/);
});

test.skipIf(process.getuid?.() === 0 || process.platform === 'win32')('a read-only folder', async () => {
  chmodSync(folder, 0o500);
  await expect(openLog(path)).rejects.toThrow(/EACCES/);
  chmodSync(folder, 0o700);
  expect(existsSync(path)).toBe(false);
});
