/** The same kernels as in Node, in Chromium (Tint, another Dawn) and in Deno (naga and wgpu: no subgroups). */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { openBrowserPage } from '../helpers/browser';
import { bundle } from '../helpers/bundle';
import { denoObstacle, runDeno } from '../helpers/deno';
import type { KernelRun } from '../helpers/every-kernel';

const MAX_FLOPS = 2e6;
let code: string;

beforeAll(async () => {
  code = await bundle(join(import.meta.dirname, '../helpers/every-kernel.ts'));
});

function expectAllRight({ software, passed, failures }: KernelRun) {
  expect(failures).toEqual([]);
  expect(passed.length).toBeGreaterThan(15);
  if (process.platform === 'linux') expect(software).toBe(true);
}

test('every kernel in headless Chromium', { timeout: 180_000 }, async ({ skip }) => {
  const opened = await openBrowserPage({ serve: { '/every.js': { body: code, type: 'text/javascript' } } });
  if ('skip' in opened) return skip(opened.skip);
  try {
    expectAllRight((await opened.call('/every.js', 'everyKernel', 'browser', MAX_FLOPS)) as KernelRun);
    expect(opened.errors).toEqual([]);
  } finally {
    await opened.close();
  }
});

test.skipIf(denoObstacle())('every kernel in Deno', { timeout: 180_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'mla-lp-test-'));
  try {
    const script = join(folder, 'every.js');
    writeFileSync(script, code);
    const { stdout } = await runDeno(script, [String(MAX_FLOPS)], { timeoutMs: 170_000 });
    expectAllRight(JSON.parse(stdout) as KernelRun);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
