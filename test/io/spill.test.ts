import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { blobSpill } from '../../src/io/blob-spill';
import { fileSpill } from '../../src/io/node/spill-file';
import type { Spill } from '../../src/model/spill';
import { BadFileError, MlaLpError, ShapeError } from '../../src/runtime/errors';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mla-lp-test-'));
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true, force: true });
});

const SIZE = 1000;
const entry = (seed: number) => Uint8Array.from({ length: SIZE }, (_, i) => (i * 31 + seed * 7) & 255);
const kinds: [string, () => Promise<Spill>][] = [
  ['a file', () => fileSpill(folder, SIZE)],
  ['Blobs', async () => blobSpill()],
];

test.each(kinds)('%s: entries in any order, overwritten, side by side', async (_, make) => {
  const spill = await make();
  await Promise.all([5, 0, 3].map((i) => spill.write(i, entry(i))));
  for (const i of [0, 3, 5]) expect(await spill.read(i)).toEqual(entry(i));
  const changing = entry(9);
  await spill.write(3, changing);
  changing.fill(0);
  const found = await spill.read(3);
  expect(found).toEqual(entry(9));
  found.fill(1);
  expect(await spill.read(3)).toEqual(entry(9));
  expect(await spill.read(5)).toEqual(entry(5));
  // Part of a larger buffer.
  const large = new Uint8Array(3 * SIZE);
  large.set(entry(4), SIZE);
  await spill.write(4, large.subarray(SIZE, 2 * SIZE));
  expect(await spill.read(4)).toEqual(entry(4));
  await spill.close();
  await spill.close();
});

test.each(kinds)('%s: what was never written, or is freed, is no zeros', async (_, make) => {
  const spill = await make();
  await spill.write(2, entry(2));
  for (const index of [0, 1, 3, -1]) await expect(spill.read(index)).rejects.toThrow(BadFileError);
  await spill.close();
  await expect(spill.read(2)).rejects.toThrow(BadFileError);
  await expect(spill.write(2, entry(2))).rejects.toThrow(MlaLpError);
});

test.skipIf(process.platform === 'win32')(
  'the file has no name, is private, and frees its handle',
  async () => {
    const spill = await fileSpill(folder, SIZE);
    await spill.write(0, entry(0));
    expect(readdirSync(folder)).toEqual([]);
    await spill.close();
    const elsewhere = await fileSpill(undefined, SIZE);
    await elsewhere.close();
    if (!existsSync('/proc/self/fd')) return;
    const before = readdirSync('/proc/self/fd').length;
    for (let i = 0; i < 20; i++) await (await fileSpill(folder, SIZE)).close();
    expect(readdirSync('/proc/self/fd').length).toBe(before);
  },
);

test('entries of another size, and places that are none', async () => {
  await expect(fileSpill(folder, 0)).rejects.toThrow(ShapeError);
  await expect(fileSpill(folder, 1.5)).rejects.toThrow(ShapeError);
  await expect(fileSpill(join(folder, 'none'), 8)).rejects.toThrow(/ENOENT.*Create the folder/);
  const spill = await fileSpill(folder, SIZE);
  await expect(spill.write(0, entry(0).subarray(1))).rejects.toThrow(/999 bytes, entries take 1000/);
  for (const index of [-1, 0.5, 2 ** 52, Number.NaN])
    await expect(spill.write(index, entry(0))).rejects.toThrow(ShapeError);
  await spill.close();
});

/** The class behind node's file handles, to break its methods. */
async function handleClass(): Promise<FileHandle> {
  const file = await open(fileURLToPath(import.meta.url), 'r');
  await file.close();
  return Object.getPrototypeOf(file) as FileHandle;
}
type Call = (this: FileHandle, ...args: unknown[]) => Promise<never>;

test('a disk that takes and gives a few bytes at a time', async () => {
  const handles = await handleClass();
  for (const name of ['read', 'write'] as const) {
    const whole = handles[name] as unknown as Call;
    const few: Call = function (data, offset, length, position) {
      return whole.call(this, data, offset, Math.min(300, length as number), position);
    };
    vi.spyOn(handles, name).mockImplementation(few as never);
  }
  const spill = await fileSpill(folder, SIZE);
  for (const i of [1, 0]) await spill.write(i, entry(i));
  for (const i of [0, 1]) expect(await spill.read(i)).toEqual(entry(i));
  expect(handles.write).toHaveBeenCalledTimes(8);
  await spill.close();
});

test('a full disk is told, and half an entry is never read', async () => {
  const spill = await fileSpill(folder, SIZE);
  await spill.write(0, entry(0));
  const handles = await handleClass();
  const full = Object.assign(new Error('full'), { code: 'ENOSPC' });
  const spy = vi.spyOn(handles, 'write').mockRejectedValue(full as never);
  const error = await spill.write(0, entry(1)).catch((thrown: unknown) => thrown);
  spy.mockRestore();
  expect(error).toBeInstanceOf(MlaLpError);
  expect((error as MlaLpError).message).toMatch(/ENOSPC.*Free some space/);
  await expect(spill.read(0)).rejects.toThrow(/never written/);
  await spill.write(0, entry(1));
  expect(await spill.read(0)).toEqual(entry(1));
  await spill.close();
});

test('a file that ends too early', async () => {
  const spill = await fileSpill(folder, SIZE);
  await spill.write(0, entry(0));
  const handles = await handleClass();
  const whole = handles.read as unknown as Call;
  const cut: Call = function (data, offset, length, position) {
    if ((position as number) >= 100) return Promise.resolve({ bytesRead: 0 } as never);
    return whole.call(this, data, offset, Math.min(100, length as number), position);
  };
  vi.spyOn(handles, 'read').mockImplementation(cut as never);
  await expect(spill.read(0)).rejects.toThrow(/entry 0 ends too early \(at byte 100\)/);
  vi.mocked(handles.read).mockRejectedValue(Object.assign(new Error('x'), { code: 'EIO' }));
  await expect(spill.read(0)).rejects.toThrow(/cannot be read \(EIO\)/);
  vi.restoreAllMocks();
  await spill.close();
});

test('a Blob that the browser lost, or has no room for', async () => {
  const spill = blobSpill();
  await spill.write(0, entry(0));
  vi.spyOn(Blob.prototype, 'arrayBuffer').mockRejectedValue(new DOMException('gone', 'NotReadableError'));
  await expect(spill.read(0)).rejects.toThrow(/entry 0 cannot be read back.*free some space/);
  vi.stubGlobal('Blob', function full() {
    throw new RangeError('full');
  });
  try {
    await expect(spill.write(1, entry(1))).rejects.toThrow(/no room for entry 1.*Free some space/);
  } finally {
    vi.unstubAllGlobals();
  }
});
