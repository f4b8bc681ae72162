/** Runs a command again whenever a file is saved: in a process of its own each time, so that a kernel that hangs is killed with it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { type FSWatcher, watch } from 'node:fs';
import { basename, dirname } from 'node:path';

/** Editors write a file in several steps. */
const QUIET_MS = 150;

export interface Watching {
  /** Ends the watch and the run that is under way. */
  close(): void;
}

/** @param command program and arguments. The first run begins at once. */
export function runOnSave(file: string, command: readonly [string, ...string[]]): Watching {
  let child: ChildProcess | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const run = () => {
    child?.kill('SIGKILL');
    console.error(`\n--- ${new Date().toTimeString().slice(0, 8)} ${file}`);
    const [program, ...args] = command;
    child = spawn(program, args, { stdio: ['ignore', 'inherit', 'inherit'] });
  };
  // The folder: many editors save by renaming a new file over the old one, whose watcher would then watch nothing.
  const name = basename(file);
  const watcher: FSWatcher = watch(dirname(file), (_event, changed) => {
    if (changed !== null && changed !== name) return;
    clearTimeout(timer);
    timer = setTimeout(run, QUIET_MS);
  });
  run();
  return {
    close() {
      clearTimeout(timer);
      watcher.close();
      child?.kill('SIGKILL');
    },
  };
}
