/** The built library trains the same in Node, headless Chromium and Deno; all against the float64 reference. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import { openBrowserPage } from '../helpers/browser';
import { denoObstacle, runDeno } from '../helpers/deno';
import { fixture } from '../helpers/goldens';
import { trainTiny } from '../helpers/train-tiny.js';

const ROOT = join(import.meta.dirname, '../..');
const STEPS = 4;
const { presets } = JSON.parse(readFileSync(fixture('tiny/golden.json'), 'utf8'));

interface Answer {
  readonly adapter: string;
  readonly losses: readonly number[];
  readonly before: readonly number[];
  readonly after: readonly number[];
}

function expectGolden({ adapter, losses, before, after }: Answer, preset: 'authors' | 'paper'): void {
  expect(adapter).not.toBe('');
  expect(losses).toHaveLength(STEPS);
  losses.forEach((loss, i) => {
    expect(Math.abs(loss / presets[preset].loss_curve[i] - 1), `step ${i + 1}`).toBeLessThan(1e-3);
  });
  expect(after).toHaveLength(4);
  expect(after.every(Number.isFinite)).toBe(true);
  expect(after).not.toEqual(before);
}

test('Node', async () => {
  const library = pathToFileURL(join(ROOT, 'dist/node.js')).href;
  expectGolden(
    await trainTiny(library, (name: string) => fixture(`tiny/${name}`), 'authors', STEPS),
    'authors',
  );
});

test('Chromium', { timeout: 280_000 }, async ({ skip }) => {
  const opened = await openBrowserPage({
    serve: { '/tiny/': 'test/fixtures/tiny/', '/train-tiny.js': 'test/helpers/train-tiny.js' },
  });
  if ('skip' in opened) return skip(opened.skip);
  try {
    expectGolden((await opened.call('/train-tiny.js', 'trainInPage', 'authors', STEPS)) as Answer, 'authors');
    expect(opened.errors).toEqual([]);
  } finally {
    await opened.close();
  }
});

test.skipIf(denoObstacle())('Deno', { timeout: 280_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'mla-lp-test-'));
  try {
    const script = join(folder, 'train.mjs');
    const url = (path: string) => JSON.stringify(pathToFileURL(join(ROOT, path)).href);
    writeFileSync(
      script,
      `import { trainTiny } from ${url('test/helpers/train-tiny.js')};
       const files = (name) => ${JSON.stringify(`${fixture('tiny')}/`)} + name;
       console.log(JSON.stringify(await trainTiny(${url('dist/deno.js')}, files, 'paper', ${STEPS})));
       Deno.exit(0);`,
    );
    const { stdout } = await runDeno(script, [], { timeoutMs: 270_000 });
    expectGolden(JSON.parse(stdout.trim().split('\n').at(-1)!) as Answer, 'paper');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
