/** FAULTS G2 and G4: a training run whose device is lost goes on with a fresh one, once, to the same bits. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, expect, test, vi } from 'vitest';
import { openSession } from '../../src/cli/session';
import { trainToFile } from '../../src/cli/training-run';
import { makePhantom } from '../../src/data/phantoms';
import { DeviceLostError } from '../../src/runtime/errors';
import { fixture } from '../helpers/goldens';

const root = mkdtempSync(join(tmpdir(), 'mla-lp-test-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const STEPS = 6;
const images = [0, 1, 2, 3].map((seed) => {
  const { image, abnormal } = makePhantom(seed, { size: 42, abnormal: seed % 2 === 1 });
  return { image, abnormal };
});

const logPath = (name: string) => join(root, `${name}.jsonl`);
const modelOf = (name: string) => readFileSync(join(root, `${name}.safetensors`));

function lossesOf(name: string): { step: number; loss: number }[] {
  const lines = readFileSync(logPath(name), 'utf8').trim().split('\n');
  return lines.map((line) => JSON.parse(line)).map(({ step, loss }) => ({ step, loss }));
}

/** Trains, and takes the device away once when each of `losing` images was asked for. @returns what was said on stderr. */
async function train(
  name: string,
  losing: readonly number[],
  saveSeconds = 0,
  said: string[] = [],
): Promise<string> {
  const spy = vi.spyOn(console, 'error').mockImplementation((text) => said.push(String(text)));
  const weights = fixture('tiny/clip.safetensors');
  const session = await openSession({ weights, precision: 'f32', quiet: true });
  let running = true;
  const thief = (async () => {
    for (const lines of losing) {
      const { gpu } = session;
      while (running && (session.gpu !== gpu || linesIn(name) < lines)) await sleep(1);
      firstLine = readFileSync(logPath(name), 'utf8').split('\n')[0];
      gpu.device.destroy();
      while (running && session.gpu === gpu) await sleep(1);
    }
  })();
  try {
    const options = { preset: 'paper', imageSize: 42, batch: 3, steps: STEPS, augment: false } as const;
    const out = join(root, `${name}.safetensors`);
    const rest = { resume: false, bank: false, quiet: true, log: logPath(name) };
    const trainer = await trainToFile({ session, images, options, out, saveSeconds, ...rest });
    await trainer.destroy();
  } finally {
    running = false;
    await thief;
    spy.mockRestore();
    await session.close();
  }
  return said.join('\n');
}

/** Of the log when the device was taken away, times included. */
let firstLine: string | undefined;

function linesIn(name: string): number {
  return existsSync(logPath(name)) ? readFileSync(logPath(name), 'utf8').split('\n').length - 1 : 0;
}

test('a lost device is replaced once, and the run ends in the same bits', async () => {
  await train('whole', []);
  const said = await train('lost', [2]);
  expect(said).toMatch(/The GPU device was .*A fresh one goes on after step [1-5]\./);
  expect(modelOf('lost').equals(modelOf('whole'))).toBe(true);
  expect(lossesOf('lost')).toEqual(lossesOf('whole'));
  // It went on, and did not begin again: times would be others.
  expect(readFileSync(logPath('lost'), 'utf8').split('\n')[0]).toBe(firstLine);
});

test('the second loss is an error that says how to go on', async () => {
  const said: string[] = [];
  await expect(train('twice', [2, 2], 3600, said)).rejects.toThrow(DeviceLostError);
  expect(said[0]).toMatch(/A fresh one goes on after step 0\./);
  expect(said.at(-1)).toBe('mla-lp: Nothing was saved yet.');
  expect(readdirSync(root).filter((file) => /^twice.*lock$|tmp$/.test(file))).toEqual([]);
});
