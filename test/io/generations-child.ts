/**
 * A trainer in miniature, run as its own process so that it can be killed: takes the lock, resumes, saves step after step and
 * prints each that is durable. With KILL_AT=n it kills itself before its nth call of the file system, after SAVES saves.
 */
import fs from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { createRequire, syncBuiltinESMExports } from 'node:module';
import { fileBytes } from '../../src/io/node/file-bytes';
import { openNewest, saveGeneration, sweep } from '../../src/io/node/generations';
import { acquireLock } from '../../src/io/node/lock';
import { openSafetensors } from '../../src/io/safetensors';
import { readTrainingState, trainingStateChunks } from '../../src/io/training-state';
import { MlaLpError } from '../../src/runtime/errors';
import type { TrainingState } from '../../src/training/state';

const path = process.argv[2]!;
const elements = Number(process.env.ELEMENTS ?? 1000);
const killAt = Number(process.env.KILL_AT ?? 0);
const saves = Number(process.env.SAVES ?? Number.POSITIVE_INFINITY);

function stateAt(step: number): TrainingState {
  const tensor = (value: number) => ({ shape: [elements], values: new Float32Array(elements).fill(value) });
  return {
    parameters: new Map([['p', tensor(step)]]),
    slots: new Map([['adam.m.p', tensor(-step)]]),
    metadata: new Map([['step', String(step)]]),
  };
}

async function read(from: string): Promise<TrainingState> {
  const bytes = await fileBytes(from);
  try {
    return await readTrainingState(await openSafetensors(bytes));
  } finally {
    await bytes.close();
  }
}

/** Counts the calls that a save makes, through the module and through file handles (whose close cannot be replaced). */
async function countCalls(): Promise<void> {
  let calls = 0;
  const counted = (call: (...args: unknown[]) => unknown) =>
    function (this: unknown, ...args: unknown[]): unknown {
      if (++calls === killAt) process.kill(process.pid, 'SIGKILL');
      return call.apply(this, args);
    };
  const patch = (target: object, names: readonly string[]) => {
    const methods = target as Record<string, (...args: unknown[]) => unknown>;
    for (const name of names) methods[name] = counted(methods[name]!);
  };
  const handle = await open(process.argv[1]!, 'r');
  const handles = Object.getPrototypeOf(handle) as FileHandle;
  await handle.close();
  patch(handles, ['write', 'sync']);
  patch(createRequire(import.meta.url)('node:fs/promises') as object, [
    'open',
    'link',
    'copyFile',
    'rename',
    'rm',
  ]);
  syncBuiltinESMExports();
}

const print = (text: string) => fs.writeSync(1, `${text}\n`);
await acquireLock(path);
await sweep(path);
const from = await openNewest(path, read).catch((error: unknown) => {
  if (error instanceof MlaLpError && /ENOENT/.test(error.message)) return undefined;
  throw error;
});
let step = Number(from?.value.metadata.get('step') ?? 0);
print(`from ${step} ${from?.generation ?? 'none'}`);
if (killAt > 0) await countCalls();
for (let i = 0; i < saves; i++) {
  step++;
  await saveGeneration(path, trainingStateChunks(stateAt(step)));
  print(`saved ${step}`);
}
print('done');
