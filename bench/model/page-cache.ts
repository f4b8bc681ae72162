/** Whether a file is read off the disk or out of memory, for benchmarks. */
import { execFile } from 'node:child_process';
import { statfs } from 'node:fs/promises';
import { promisify } from 'node:util';

/** Linux's tmpfs and ramfs: their files have no other place than memory. */
const IN_MEMORY: ReadonlySet<number> = new Set([0x01021994, 0x858458f6]);

/** Why a file of this folder cannot be made to leave memory; undefined when it can. */
export async function staysInMemory(folder: string): Promise<string | undefined> {
  if (process.platform !== 'linux') return 'only on Linux a file can be made to leave memory';
  if (IN_MEMORY.has((await statfs(folder)).type)) return `${folder} lies in memory`;
  const known = await promisify(execFile)('dd', ['--version']).catch(() => undefined);
  return known?.stdout.includes('dd (coreutils)')
    ? undefined
    : 'GNU dd, which makes files leave memory, is not here';
}

/**
 * Writes what is not on the disk yet, and advises the system to forget the file: the next read is off the disk, or out of what the disk
 * keeps itself. A file system that does not take the advice (ZFS, some on networks) gives warm reads; nothing tells.
 */
export async function forget(path: string): Promise<void> {
  const operands = [`of=${path}`, 'oflag=nocache', 'conv=notrunc,fdatasync', 'count=0'];
  await promisify(execFile)('dd', operands);
}
