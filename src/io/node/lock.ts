/** One writer at a time: a lock file beside what is written. */
import { randomBytes } from 'node:crypto';
import { readFileSync, rmSync } from 'node:fs';
import { open, readFile, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { OptionError } from '../../runtime/errors';
import { writeAll, writeError } from './write-file';

export interface Lock {
  /** Gives the lock back. Calling it again does nothing. */
  release(): Promise<void>;
}

interface Holder {
  readonly pid: number;
  readonly host: string;
  /** Tells this holding of the lock from every other. */
  readonly token: string;
}

/** Looks at a lock before giving up, and the wait between them: another process may be taking it over. */
const LOOKS = 100;
const WAIT_MS = 10;
/** After so many looks a file without text is one whose creator was killed before writing it, and not one being created. */
const LOOKS_TORN = 50;

/** This process's holdings: tokens and lock files. */
const held = new Map<string, string>();
let watchesExit = false;

function releaseAtExit(): void {
  for (const [token, file] of held) {
    try {
      if (parseHolder(readFileSync(file, 'utf8'))?.token === token) rmSync(file);
    } catch {
      // The process ends; a lock that stays is found to be stale.
    }
  }
}

function parseHolder(text: string): Holder | undefined {
  try {
    const { pid, host, token } = JSON.parse(text) as Partial<Record<keyof Holder, unknown>>;
    const whole = Number.isSafeInteger(pid) && (pid as number) > 0;
    if (whole && typeof host === 'string' && typeof token === 'string')
      return { pid: pid as number, host, token };
  } catch {
    // Not written to its end.
  }
  return undefined;
}

/** The file's text; undefined when it is gone. */
async function textOf(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw writeError(file, cause);
  }
}

function isAlive({ pid, token }: Holder): boolean {
  // In a container each run may have the same number.
  if (pid === process.pid) return held.has(token);
  try {
    process.kill(pid, 0);
    return true;
  } catch (cause) {
    // EPERM: it lives and belongs to somebody else.
    return (cause as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

/** @returns whether the file was not there and is now ours. */
async function create(file: string, me: Holder): Promise<boolean> {
  try {
    const handle = await open(file, 'wx', 0o600);
    try {
      await writeAll(handle, new TextEncoder().encode(`${JSON.stringify(me)}\n`));
    } catch (cause) {
      await rm(file, { force: true }).catch(() => {});
      throw cause;
    } finally {
      await handle.close();
    }
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw writeError(file, cause);
  }
  // Whoever waited long enough for the text took the file for abandoned.
  return parseHolder((await textOf(file)) ?? '')?.token === me.token;
}

/** @throws OptionError when the holder lives, or lives elsewhere and nobody here can tell. */
function refuseLiving(file: string, holder: Holder): void {
  if (holder.host !== hostname()) {
    throw new OptionError(
      `${file}: process ${holder.pid} on the host ${JSON.stringify(holder.host)} is writing there.`,
      `If it does not run any more, remove ${file}.`,
    );
  }
  if (isAlive(holder)) {
    throw new OptionError(
      `${file}: process ${holder.pid} is writing there.`,
      `Wait for it, stop it, or write elsewhere. If that process is none of ours, remove ${file}.`,
    );
  }
}

/**
 * Removes a lock whose holder is dead. Two processes that both saw it so must not remove each other's new lock: who removes
 * holds a second lock meanwhile and looks once more. That second lock is taken in the same way, should its holder have died.
 */
async function removeStale(file: string, seen: string): Promise<void> {
  const guard = await take(`${file}.takeover`);
  try {
    if ((await textOf(file)) === seen) await rm(file, { force: true });
  } catch (cause) {
    throw writeError(file, cause);
  } finally {
    await guard.release();
  }
}

async function take(file: string): Promise<Lock> {
  let problem: unknown;
  for (let look = 0; look < LOOKS; look++) {
    const lock = await tryCreate(file);
    if (lock) return lock;
    const text = await textOf(file);
    if (text === undefined) continue;
    const holder = parseHolder(text);
    if (holder) refuseLiving(file, holder);
    if (holder || look >= LOOKS_TORN) {
      problem = await removeStale(file, text).catch((error: unknown) => error);
      if (!problem) continue;
      // Held by somebody alive, who removes this one: the next look finds it gone, or theirs.
      if (!(problem instanceof OptionError)) throw problem;
    }
    await sleep(WAIT_MS);
  }
  throw problem ?? new OptionError(`${file} changes hands all the time.`, 'Try again.');
}

async function tryCreate(file: string): Promise<Lock | undefined> {
  const token = randomBytes(16).toString('hex');
  // Before the file is there: another call in this process may read it at once.
  held.set(token, file);
  let created = false;
  try {
    created = await create(file, { pid: process.pid, host: hostname(), token });
  } finally {
    if (!created) held.delete(token);
  }
  if (!created) return undefined;
  if (!watchesExit) process.on('exit', releaseAtExit);
  watchesExit = true;
  return { release: () => release(file, token) };
}

async function release(file: string, token: string): Promise<void> {
  if (!held.has(token)) return;
  const text = await textOf(file);
  try {
    // Somebody may have removed it by hand, and another may hold it now.
    if (text !== undefined && parseHolder(text)?.token === token) await rm(file, { force: true });
  } catch (cause) {
    throw writeError(file, cause);
  }
  held.delete(token);
}

/**
 * Takes the lock of what is written at `path`: the file `<path>.lock` with our process number, host name and a random token. It
 * is given back by `release`, else when the process ends by itself. A lock whose process is dead, after SIGKILL for instance, is
 * taken over. The system gives numbers of dead processes to new ones: then the lock looks held, and the error says whose number
 * it is; it can be removed by hand. Worker threads of one process do not see each other's locks as held.
 * @throws OptionError when a living process holds it, or one on another host, which cannot be looked at from here.
 * @throws MlaLpError `bad-file` when no file can be made there.
 */
export function acquireLock(path: string): Promise<Lock> {
  return take(`${path}.lock`);
}
