/** The built library detects the same in Node, headless Chromium and Deno; all against the float64 reference. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import { openBrowserPage } from '../helpers/browser';
import { denoObstacle, runDeno } from '../helpers/deno';
import { detectTiny } from '../helpers/detect-tiny.js';
import { fixture, openGolden, relativeError } from '../helpers/goldens';

const ROOT = join(import.meta.dirname, '../..');
const STAGES = 4;
const golden = await openGolden('tiny/golden.safetensors');

interface Answer {
  readonly adapter: string;
  readonly levels: readonly (readonly number[])[];
  readonly map: readonly number[];
}

/** The reference's numbers in the answer's form. */
async function wanted(preset: string): Promise<{ levels: number[]; map: number[] }> {
  const [scores, maps] = [await golden.read(`${preset}.scores`), await golden.read(`${preset}.maps`)];
  const images = scores.length / STAGES;
  const pixels = maps.length / scores.length;
  const levels = Array.from(
    { length: scores.length },
    (_, i) => scores[(i % STAGES) * images + Math.floor(i / STAGES)]!,
  );
  const map: number[] = [];
  for (let b = 0; b < images; b++) {
    for (let i = 0; i < pixels; i += 97) {
      let sum = 0;
      for (let s = 0; s < STAGES; s++) sum += maps[(s * images + b) * pixels + i]!;
      map.push(sum);
    }
  }
  return { levels, map };
}

async function expectGolden(answer: Answer, preset: string): Promise<void> {
  const want = await wanted(preset);
  expect(relativeError(answer.levels.flat(), want.levels)).toBeLessThan(1e-4);
  expect(relativeError(answer.map, want.map)).toBeLessThan(1e-4);
}

test('Node: files by path', async () => {
  const images = [0, 1, 2, 3].map((i) => fixture(`tiny/image${i}.png`));
  const library = pathToFileURL(join(ROOT, 'dist/node.js')).href;
  const answer = await detectTiny(
    library,
    fixture('tiny/clip.safetensors'),
    fixture('tiny/init.safetensors'),
    images,
    'authors',
  );
  await expectGolden(answer, 'authors');
});

test('Chromium: Blobs, ImageBitmap, ImageData', { timeout: 240_000 }, async ({ skip }) => {
  const opened = await openBrowserPage({
    serve: { '/tiny/': 'test/fixtures/tiny/', '/detect-tiny.js': 'test/helpers/detect-tiny.js' },
  });
  if ('skip' in opened) return skip(opened.skip);
  try {
    const answer = (await opened.call('/detect-tiny.js', 'detectInPage', 'authors')) as Answer & {
      same: number[][];
    };
    expect(answer.adapter).not.toBe('');
    await expectGolden(answer, 'authors');
    // Weights made in the page, and pixels from a canvas, give the same scores.
    expect(relativeError(answer.same.flat(), answer.levels.slice(0, 2).flat())).toBeLessThan(1e-4);
    expect(opened.errors).toEqual([]);
  } finally {
    await opened.close();
  }
});

test.skipIf(denoObstacle())('Deno', { timeout: 240_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'mla-lp-test-'));
  try {
    const script = join(folder, 'detect.mjs');
    const url = (path: string) => JSON.stringify(pathToFileURL(join(ROOT, path)).href);
    const args = [fixture('tiny/clip.safetensors'), fixture('tiny/init.safetensors')].map((a) =>
      JSON.stringify(a),
    );
    const images = JSON.stringify([0, 1, 2, 3].map((i) => fixture(`tiny/image${i}.png`)));
    writeFileSync(
      script,
      `import { detectTiny } from ${url('test/helpers/detect-tiny.js')};
       const answer = await detectTiny(${url('dist/deno.js')}, ${args.join(', ')}, ${images}, 'paper');
       console.log(JSON.stringify(answer));
       Deno.exit(0);`,
    );
    const { stdout } = await runDeno(script, [], { timeoutMs: 230_000 });
    await expectGolden(JSON.parse(stdout.trim().split('\n').at(-1)!) as Answer, 'paper');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
