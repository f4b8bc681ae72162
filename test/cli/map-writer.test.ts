import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { MapWriter } from '../../src/cli/map-writer';
import { OptionError } from '../../src/runtime/errors';

const folder = mkdtempSync(join(tmpdir(), 'mla-lp-maps-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('a folder is refused before any work, and nothing is left', async () => {
  await expect(MapWriter.open(folder)).rejects.toThrow(OptionError);
  await expect(MapWriter.open(join(folder, 'none/'))).rejects.toThrow(OptionError);
  expect(readdirSync(folder)).toEqual([]);
});

test('maps are spooled to a private file of its own', async () => {
  const path = join(folder, 'maps');
  // A file of the user's that happens to have a likely name.
  writeFileSync(`${path}.spool.tmp`, 'mine');
  const writer = await MapWriter.open(path);
  const spool = readdirSync(folder).filter((name) => name.startsWith('.maps.'));
  expect(spool).toHaveLength(1);
  if (process.platform !== 'win32') expect(statSync(join(folder, spool[0]!)).mode & 0o777).toBe(0o600);
  await writer.add('a', new Float32Array(4), 2);
  await writer.finish();
  expect(readdirSync(folder).sort()).toEqual(['maps', 'maps.spool.tmp']);
});
