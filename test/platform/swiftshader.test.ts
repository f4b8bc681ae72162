import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { brotliCompressSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { acquireAdapter } from '../../src/platform/node/adapter';
import { findSwiftShaderArchive, unpackSwiftShader } from '../../src/platform/node/bundled-swiftshader';
import { readFlatTar } from '../../src/platform/node/untar';
import { tarOf } from '../helpers/tar';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mla-lp-test-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('flat tar archives', () => {
  const data = new TextEncoder().encode('hello');

  test('our writer and the system tar agree with the reader', () => {
    expect(
      readFlatTar(
        tarOf([
          { name: 'a.txt', data },
          { name: 'empty', data: new Uint8Array(0) },
        ]),
      ),
    ).toEqual([
      { name: 'a.txt', bytes: data },
      { name: 'empty', bytes: new Uint8Array(0) },
    ]);
  });

  test.skipIf(process.platform === 'win32')('an archive of GNU tar', () => {
    writeFileSync(join(folder, 'b.json'), '{}');
    const packed = execFileSync('tar', ['-c', '-f', '-', '-C', folder, 'b.json']);
    expect(readFlatTar(packed).map((file) => file.name)).toEqual(['b.json']);
  });

  test.each([
    ['a path', [{ name: '../evil', data }]],
    ['an absolute path', [{ name: '/etc/evil', data }]],
    ['a folder inside', [{ name: 'a/b', data }]],
    ['a hidden file', [{ name: '.profile', data }]],
    ['a line break', [{ name: 'a\nb', data }]],
    ['a symbolic link', [{ name: 'link', data: new Uint8Array(0), type: '2' }]],
    ['a folder', [{ name: 'folder', data: new Uint8Array(0), type: '5' }]],
    ['a path prefix', [{ name: 'a', data, prefix: 'b' }]],
    [
      'the same name twice',
      [
        { name: 'a', data },
        { name: 'a', data },
      ],
    ],
    ['a size past the end', [{ name: 'a', data, size: 1 << 20 }]],
    ['a size that is no number', [{ name: 'a', data, sizeText: 'zzz' }]],
    ['a wrong checksum', [{ name: 'a', data, checksum: 1 }]],
  ])('%s is refused', (_what, entries) => {
    expect(() => readFlatTar(tarOf(entries))).toThrow(/^tar: /);
  });

  test('an archive without its end is refused', () => {
    const whole = tarOf([{ name: 'a', data }]);
    for (const length of [0, 100, 512, 1024]) {
      expect(() => readFlatTar(whole.subarray(0, length)), String(length)).toThrow(/^tar: /);
    }
  });
});

describe.skipIf(process.platform === 'win32')('unpacking', () => {
  const NAMES = ['libvk_swiftshader.so', 'libvulkan.so.1', 'vk_swiftshader_icd.json'];
  let archive: string;
  let cache: string;
  beforeEach(() => {
    archive = join(folder, 'swiftshader.tar.br');
    cache = join(folder, 'cache');
    writeFileSync(archive, brotliCompressSync(tarOf(NAMES.map((name) => ({ name, data: contentOf(name) })))));
  });
  const contentOf = (name: string) => new TextEncoder().encode(`content of ${name}`);
  const expectWhole = (unpacked: string) => {
    for (const name of NAMES) expect(readFileSync(join(unpacked, name), 'utf8')).toBe(`content of ${name}`);
    expect(readdirSync(cache)).toHaveLength(1);
  };

  test('files are private, and unpacked once', () => {
    const first = unpackSwiftShader(archive, cache);
    expectWhole(first.folder);
    expect(statSync(first.folder).mode & 0o777).toBe(0o700);
    expect(statSync(cache).mode & 0o777).toBe(0o700);
    const inode = statSync(first.loader).ino;
    expect(unpackSwiftShader(archive, cache)).toEqual(first);
    expect(statSync(first.loader).ino).toBe(inode);
  });

  test.each<[string, (unpacked: string) => void]>([
    ['a flipped byte', (f) => writeFileSync(join(f, NAMES[0]!), 'Content of libvk_swiftshader.so')],
    ['a truncated file', (f) => truncateSync(join(f, NAMES[1]!), 3)],
    ['a missing file', (f) => rmSync(join(f, NAMES[2]!))],
    ['a missing manifest', (f) => rmSync(join(f, 'manifest.json'))],
    ['a broken manifest', (f) => writeFileSync(join(f, 'manifest.json'), '{"libvulkan')],
    ['an empty manifest', (f) => writeFileSync(join(f, 'manifest.json'), '{}')],
    ['a folder that others may write to', (f) => chmodSync(f, 0o777)],
    [
      "a link in a file's place",
      (f) => {
        rmSync(join(f, NAMES[1]!));
        writeFileSync(join(folder, 'elsewhere'), contentOf(NAMES[1]!));
        symlinkSync(join(folder, 'elsewhere'), join(f, NAMES[1]!));
      },
    ],
    [
      "a file in the folder's place",
      (f) => {
        rmSync(f, { recursive: true });
        writeFileSync(f, 'not a folder');
      },
    ],
  ])('%s is repaired', (_what, damage) => {
    const { folder: unpacked } = unpackSwiftShader(archive, cache);
    damage(unpacked);
    const again = unpackSwiftShader(archive, cache);
    expectWhole(again.folder);
    expect(statSync(again.folder).mode & 0o777).toBe(0o700);
  });

  test('a newer package gets a folder of its own', () => {
    const { folder: before } = unpackSwiftShader(archive, cache);
    const changed = NAMES.map((name) => ({ name, data: new TextEncoder().encode('newer') }));
    writeFileSync(archive, brotliCompressSync(tarOf(changed)));
    const { folder: after, loader } = unpackSwiftShader(archive, cache);
    expect(after).not.toBe(before);
    expect(readFileSync(loader, 'utf8')).toBe('newer');
  });

  test('a bad archive leaves nothing behind', () => {
    writeFileSync(archive, brotliCompressSync(tarOf([{ name: '../evil', data: contentOf('x') }])));
    expect(() => unpackSwiftShader(archive, cache)).toThrow('refused name');
    writeFileSync(archive, brotliCompressSync(tarOf([{ name: NAMES[0]!, data: contentOf('x') }])));
    expect(() => unpackSwiftShader(archive, cache)).toThrow('holds no libvulkan.so.1');
    writeFileSync(archive, 'this is no brotli');
    expect(() => unpackSwiftShader(archive, cache)).toThrow();
    expect(existsSync(cache) ? readdirSync(cache) : []).toEqual([]);
  });

  test('what a killed process left is swept after an hour', () => {
    const left = join(cache, 'swiftshader-0123456789abcdef.new-AbCdEf');
    mkdirSync(left, { recursive: true, mode: 0o700 });
    execFileSync('touch', ['-d', '2020-01-01', left]);
    unpackSwiftShader(archive, cache);
    expect(existsSync(left)).toBe(false);
  });
});

describe.skipIf(process.platform !== 'linux' || process.arch !== 'x64')('the real one', () => {
  test('it gives an adapter, again and again, and leaves the environment as it was', async () => {
    expect(findSwiftShaderArchive()).toBeDefined();
    const before = { ...process.env };
    process.env.MLA_LP_ADAPTER = 'swiftshader';
    try {
      for (let i = 0; i < 3; i++) {
        const { adapter, source, software } = await acquireAdapter();
        expect(source).toBe('bundled-swiftshader');
        expect(software).toBe(true);
        expect(adapter.info.architecture).toBe('swiftshader');
        const device = await adapter.requestDevice();
        device.destroy();
      }
    } finally {
      if (before.MLA_LP_ADAPTER === undefined) delete process.env.MLA_LP_ADAPTER;
      else process.env.MLA_LP_ADAPTER = before.MLA_LP_ADAPTER;
    }
    expect({ ...process.env }).toEqual(before);
  });
});
