/** What a record made in Node says about the software that measured. */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { promisify } from 'node:util';
import { version } from '../src/io/version';
import type { BenchRecord } from './record';

export async function versions(engines?: Readonly<Record<string, string>>): Promise<BenchRecord['versions']> {
  const path = createRequire(import.meta.url).resolve('webgpu/package.json');
  const webgpu = JSON.parse(await readFile(path, 'utf8')) as { version: string };
  return { 'mla-lp': version, node: process.version, webgpu: webgpu.version, ...(engines && { engines }) };
}

/** The commit checked out in the current folder; undefined without git or outside a repository. */
export async function commit(): Promise<string | undefined> {
  const git = async (...args: string[]) => (await promisify(execFile)('git', args)).stdout.trim();
  try {
    const hash = await git('rev-parse', '--short=12', 'HEAD');
    return (await git('status', '--porcelain', '--untracked-files=no')) ? `${hash}+` : hash;
  } catch {
    return undefined;
  }
}
