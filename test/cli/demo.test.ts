/** What `demo` prints and exits with; training and detection themselves are not run here. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { afterAll, afterEach, expect, test, vi } from 'vitest';
import { registerDemo } from '../../src/cli/commands/demo';
import { detectFiles } from '../../src/cli/commands/detect';
import { MlaLpError } from '../../src/runtime/errors';

vi.mock('../../src/cli/commands/detect', () => ({ detectFiles: vi.fn() }));
vi.mock('../../src/cli/session', () => ({ openSession: async () => ({ close: async () => {} }) }));

const folder = mkdtempSync(join(tmpdir(), 'mla-lp-demo-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
afterEach(() => {
  process.exitCode = undefined;
  vi.restoreAllMocks();
});

/** @param failing how many of the first images cannot be read. @returns what is printed. */
async function demo(args: readonly string[], failing = 0): Promise<string> {
  vi.mocked(detectFiles).mockImplementation(async (files, _flags, { onDetection } = {}) => {
    for (const [i, file] of files.slice(failing).entries())
      onDetection?.(file, { score: i, levels: [i], map: new Float32Array(64 * 64), size: 64 });
    return { failed: failing, report: 'report.html' };
  });
  const log = vi.spyOn(console, 'log').mockImplementation(() => {});
  const program = new Command();
  registerDemo(program);
  await program.parseAsync(['demo', '--quiet', '--steps', '0', ...args], { from: 'user' });
  return log.mock.calls.flat().join('\n');
}

test('one phantom gives no AUROC', async () => {
  const printed = await demo(['--count', '1', '--out', join(folder, 'one')]);
  expect(printed).toContain('needs normal and abnormal');
  expect(printed).not.toContain('NaN');
  expect(process.exitCode).toBeUndefined();
});

test('images that failed are an exit code of 1', async () => {
  expect(await demo(['--count', '4', '--out', join(folder, 'failed')], 1)).toMatch(
    /Plain CLIP: image AUROC \d/,
  );
  expect(process.exitCode).toBe(1);
});

test('a folder that cannot be made is a clear error', async () => {
  writeFileSync(join(folder, 'file'), '');
  await expect(demo(['--out', join(folder, 'file')])).rejects.toThrow(MlaLpError);
});
