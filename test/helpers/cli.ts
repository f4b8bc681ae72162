/** Runs the built command lines as a user would. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';

export const CLI_ENTRY = join(import.meta.dirname, '../../dist/cli.js');

export const BENCH_ENTRY = join(import.meta.dirname, '../../dist/bench.js');

export interface CliResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export function runCli(args: readonly string[], cwd?: string, entry: string = CLI_ENTRY): Promise<CliResult> {
  return new Promise((done, fail) => {
    const child = spawn(process.execPath, [entry, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(cwd && { cwd }),
    });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (text) => {
      stdout += text;
    });
    child.stderr.on('data', (text) => {
      stderr += text;
    });
    child.once('error', fail);
    child.once('close', (code) => done({ code, stdout, stderr }));
  });
}
