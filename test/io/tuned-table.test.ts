import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { build } from 'esbuild';
import { afterAll, describe, expect, test } from 'vitest';
import {
  loadTuning,
  readTunedRows,
  thisDevice,
  tunedPath,
  writeTunedRows,
} from '../../src/io/node/tuned-files';
import { shippedTuning } from '../../src/io/shipped-tuned';
import {
  formatTunedFile,
  parseTunedFile,
  type TunedDevice,
  type TunedRow,
  tunedDevice,
  tuningOf,
} from '../../src/io/tuned-table';
import { version } from '../../src/io/version';

const DEVICE: TunedDevice = { vendor: 'v', architecture: 'a', device: 'd', description: 'driver 1.0' };
const ROW: TunedRow = {
  key: 'gemm:00000001-1',
  variant: 'tiled',
  call: 'gemm f32[4,4]',
  instead: 'plain',
  ratio: 0.9,
  where: 'image',
  date: '2026-11-25',
};
const FILE = { engine: version, device: DEVICE, rows: [ROW] };

const folder = mkdtempSync(join(tmpdir(), 'mla-lp-tuned-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe('a file', () => {
  test('comes back as it was written, rows in order', () => {
    const other = { ...ROW, key: 'gemm:00000002-1', call: 'a first one' };
    expect(parseTunedFile(formatTunedFile({ ...FILE, rows: [ROW, other] }))).toEqual({
      ...FILE,
      rows: [other, ROW],
    });
  });

  test('gives its rows to its own device and version only', () => {
    const text = formatTunedFile(FILE);
    expect(tuningOf(text, 'f', DEVICE)).toEqual({
      table: new Map([[ROW.key, 'tiled']]),
      source: 'f',
      notes: [],
    });
    const refused = (tuning: ReturnType<typeof tuningOf>) => {
      expect(tuning.table.size).toBe(0);
      return tuning.notes.join();
    };
    for (const part of ['vendor', 'architecture', 'device', 'description', 'cpu'] as const)
      expect(refused(tuningOf(text, 'f', { ...DEVICE, [part]: 'new' })), part).toContain('another device');
    expect(refused(tuningOf(formatTunedFile({ ...FILE, engine: '0.0.1' }), 'f', DEVICE))).toContain(
      'mla-lp 0.0.1 made it',
    );
  });

  const json = JSON.parse(formatTunedFile(FILE));
  test.each([
    ['nothing', '', 'not JSON'],
    ['a torn write', formatTunedFile(FILE).slice(0, -20), 'not JSON'],
    ['another format', '{"rows":[]}', 'no tuned table'],
    ['a list', '[]', 'no tuned table'],
    ['a later schema', JSON.stringify({ ...json, schema: 2 }), 'another schema'],
    ['no device', JSON.stringify({ ...json, device: null }), 'lacks'],
    ['a number for a name', JSON.stringify({ ...json, rows: [{ ...ROW, variant: 7 }] }), 'row 0'],
    ['a row that is none', JSON.stringify({ ...json, rows: [ROW, null] }), 'row 1'],
    ['a long text', JSON.stringify({ ...json, rows: [{ ...ROW, call: 'x'.repeat(601) }] }), 'row 0'],
    ['a ratio that is none', JSON.stringify({ ...json, rows: [{ ...ROW, ratio: '1' }] }), 'row 0'],
    ['too many rows', JSON.stringify({ ...json, rows: Array(2049).fill(1) }), '2048 rows'],
    ['too many bytes', ' '.repeat(1024 * 1024 + 1), 'bytes'],
    ['a tower of brackets', '['.repeat(500_000), 'not JSON'],
  ])('of %s is told of and not used', (_what, text, fact) => {
    const { table, notes } = tuningOf(text, 'the file', DEVICE);
    expect(table.size).toBe(0);
    expect(notes.join()).toContain(fact);
    expect(notes.join()).toContain('the file');
  });
});

test('what ships is for one adapter and driver, whatever the processor, and is whole', () => {
  const shipped = [
    ['a device', JSON.parse(formatTunedFile({ ...FILE, device: { ...DEVICE, cpu: 'ours' } }))],
  ] as const;
  const found = shippedTuning({ ...DEVICE, cpu: 'theirs' }, shipped);
  expect(found).toEqual({
    table: new Map([[ROW.key, 'tiled']]),
    source: 'shipped with mla-lp (a device)',
    notes: [],
  });
  expect(shippedTuning({ ...DEVICE, description: 'driver 1.1' }, shipped)).toBeUndefined();
});

describe('on disk', () => {
  const info = { vendor: 'v', architecture: 'a', device: 'd', description: 'driver 1.0' };
  const env = { XDG_CACHE_HOME: folder, LOCALAPPDATA: folder };
  const device = thisDevice(info, false);
  const path = tunedPath(device, env);

  test('a software adapter is another one with another processor', () => {
    const [one, two] = ['x', 'y'].map((cpu) => tunedPath(tunedDevice(info, true, cpu), env));
    expect(one).not.toBe(two);
    expect(tunedDevice(info, false, 'x')).not.toHaveProperty('cpu');
    expect(path.startsWith(folder)).toBe(true);
  });

  test('nothing is there until it is written; with no rows it goes away', async () => {
    expect(await loadTuning(info, false, env)).toBeUndefined();
    expect(await readTunedRows(path, device)).toEqual([]);
    await writeTunedRows(path, device, [ROW]);
    expect(await readTunedRows(path, device)).toEqual([ROW]);
    const tuning = await loadTuning(info, false, env);
    expect(tuning).toEqual({ table: new Map([[ROW.key, 'tiled']]), source: path, notes: [] });
    expect(await loadTuning(info, false, { ...env, MLA_LP_TUNED: 'off' })).toBeUndefined();
    await writeTunedRows(path, device, []);
    expect(await loadTuning(info, false, env)).toBeUndefined();
  });

  test('another file may be named, whatever it was measured on; when it is missing that is told', async () => {
    const named = join(folder, 'mine.json');
    const missing = await loadTuning(info, false, { ...env, MLA_LP_TUNED: named });
    expect(missing!.notes.join()).toContain('ENOENT');
    writeFileSync(named, formatTunedFile({ ...FILE, device: { ...DEVICE, vendor: 'elsewhere' } }));
    expect((await loadTuning(info, false, { ...env, MLA_LP_TUNED: named }))!.table.size).toBe(1);
  });

  test('garbage, a folder or a pipe in its place is told of and stops nothing; tuning again replaces it', async () => {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, Buffer.from([0xff, 0x00, 0x7b]));
    expect((await loadTuning(info, false, env))!.notes.join()).toContain('is not used: it is not JSON');
    expect(await readTunedRows(path, device)).toEqual([]);
    await writeTunedRows(path, device, [ROW]);
    expect((await loadTuning(info, false, env))!.table.size).toBe(1);
    rmSync(path);
    await mkdir(path);
    expect((await loadTuning(info, false, env))!.notes.join()).toContain('it is no file');
    rmSync(path, { recursive: true });
    if (process.platform === 'win32') return;
    spawnSync('mkfifo', [path]);
    expect((await loadTuning(info, false, env))!.notes.join()).toContain('it is no file');
    rmSync(path);
  });

  test.each(['open', 'write', 'sync', 'rename'])(
    'killed at its %s, writing leaves the old table',
    async (point) => {
      await writeTunedRows(path, device, [ROW]);
      const before = readFileSync(path);
      const writer = join(folder, 'writer.mjs');
      await build({
        entryPoints: ['src/io/node/tuned-files.ts'],
        bundle: true,
        platform: 'node',
        format: 'esm',
        outfile: writer,
        logLevel: 'error',
      });
      const script = join(folder, 'killed.mjs');
      writeFileSync(
        script,
        `import { createRequire, syncBuiltinESMExports } from 'node:module';
       import { writeTunedRows } from ${JSON.stringify(writer)};
       const fs = createRequire(import.meta.url)('node:fs/promises');
       const [point, path, device, row] = process.argv.slice(2);
       const handle = await fs.open(process.argv[1]);
       const target = point === 'write' || point === 'sync' ? Object.getPrototypeOf(handle) : fs;
       await handle.close();
       target[point] = () => process.kill(process.pid, 'SIGKILL');
       syncBuiltinESMExports();
       await writeTunedRows(path, JSON.parse(device), [{ ...JSON.parse(row), variant: 'other' }]);`,
      );
      const child = spawnSync(
        process.execPath,
        [script, point, path, JSON.stringify(device), JSON.stringify(ROW)],
        { timeout: 20_000, encoding: 'utf8' },
      );
      expect(child.signal, child.stderr).toBe('SIGKILL');
      expect(readFileSync(path)).toEqual(before);
      expect((await loadTuning(info, false, env))!.table.get(ROW.key)).toBe(ROW.variant);
    },
  );
});
