import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { decodeImage } from '../../src/platform/node/decode-image';
import { type BrowserPage, openBrowserPage } from '../helpers/browser';
import { denoObstacle, runDeno } from '../helpers/deno';
import { decodeAll, type Outcome, portableParts } from './decode-entry';
import { makeBmp, makeTiff } from './make-files';
import { makeNifti } from './make-nifti';

const images = new URL('../fixtures/images/', import.meta.url);
const files: Record<string, string> = {};
let here: Record<string, Outcome>;

beforeAll(async () => {
  const add = (name: string, bytes: Uint8Array) => {
    files[name] = Buffer.from(bytes).toString('base64');
  };
  for (const name of ['rgb', 'gray', 'rgba', 'palette', 'gray_alpha', 'bilevel']) {
    add(`${name}.png`, readFileSync(new URL(`${name}.png`, images)));
  }
  const picture = sharp(new URL('rgb.png', images).pathname).extract({
    left: 90,
    top: 90,
    width: 80,
    height: 60,
  });
  const jpeg = await picture.clone().withMetadata({ orientation: 6 }).jpeg({ quality: 95 }).toBuffer();
  add('turned.jpg', jpeg);
  add('lossless.webp', await picture.clone().webp({ lossless: true }).toBuffer());
  add('colour.bmp', makeBmp(2, 1, 24, Uint8Array.of(1, 2, 3, 4, 5, 6, 0, 0)));
  add('page.tif', makeTiff(4, 4, new Uint8Array(16).fill(7)));
  for (const name of ['big', 'deflated', 'rle-rgb', 'lossless-sv1', 'jpegls', 'extended12']) {
    add(`${name}.dcm`, readFileSync(new URL(`../dicom/${name}.dcm`, images)));
  }
  add('jpeg2000.dcm', readFileSync(new URL('../dicom/jpeg2000.dcm', images)));
  add('slice.nii', gzipSync(makeNifti({ dims: [3, 2, 1] }, [1, 2, 3, 4, 5, 6])));
  add('cut.jpg', jpeg.subarray(0, jpeg.length - 30));
  add('cut.png', readFileSync(new URL('rgb.png', images)).subarray(0, 9000));
  add('nothing.png', new Uint8Array(0));
  here = await decodeAll(files, decodeImage);
});

const exact = (name: string) => /\.(png|bmp|dcm|nii)$|^cut/.test(name) && name !== 'jpeg2000.dcm';

/** Another JPEG decoder may round otherwise; a turned or colour-managed picture would be far off. */
function alike(a: Outcome, b: Outcome): void {
  expect(a.size).toEqual(b.size);
  const differences = a.first!.map((v, i) => Math.abs(v - b.first![i]!));
  expect(Math.max(...differences)).toBeLessThanOrEqual(6);
}

describe('headless Chromium', () => {
  let opened: BrowserPage | { skip: string };

  beforeAll(async () => {
    const { outputFiles } = await build({
      ...bundling('browser'),
      // The decoder asks for Node's modules in Node only.
      external: ['fs', 'path', 'crypto'],
      entryPoints: ['test/data/decode-entry.ts'],
    });
    const wasm = fileURLToPath(import.meta.resolve('@cornerstonejs/codec-openjpeg/decodewasm'));
    opened = await openBrowserPage({
      serve: {
        '/entry.js': { body: outputFiles[0]!.contents, type: 'text/javascript' },
        '/openjpeg.wasm': { body: readFileSync(wasm), type: 'application/wasm' },
      },
    });
  });
  afterAll(async () => {
    if ('close' in opened) await opened.close();
  });

  test('decodes as Node does', async ({ skip }) => {
    if ('skip' in opened) return skip(opened.skip);
    const there = (await opened.call('/entry.js', 'decodeAll', files)) as Record<string, Outcome>;
    for (const name of Object.keys(files)) {
      if (exact(name)) expect(there[name], name).toEqual(here[name]);
      else if (name !== 'page.tif' && name !== 'jpeg2000.dcm') alike(there[name]!, here[name]!);
    }
    expect(there['lossless.webp']).toEqual(here['lossless.webp']);
    expect(there['page.tif']!.error).toMatch(/BadImageError: page\.tif: the TIFF cannot be decoded/);
    expect(there['jpeg2000.dcm']!.error).toMatch(/BadImageError: .* JPEG 2000, which cannot be decoded here/);
    expect(there['cut.jpg']!.error).toMatch(/BadImageError/);
    expect(opened.errors).toEqual([]);
  });

  test('decodes JPEG 2000 once the page has a decoder', async ({ skip }) => {
    if ('skip' in opened) return skip(opened.skip);
    const { before, after, cut } = (await opened.call(
      '/entry.js',
      'decodeJpeg2000',
      files['jpeg2000.dcm'],
    )) as Record<string, Outcome>;
    expect(before!.error).toContain('useOpenJpeg');
    expect(after).toEqual(here['jpeg2000.dcm']);
    expect(cut!.error).toMatch(/BadImageError/);
  });

  test('takes Blob, ImageBitmap and ImageData', async ({ skip }) => {
    if ('skip' in opened) return skip(opened.skip);
    const rgb = here['rgb.png']!.rgb;
    expect(await opened.call('/entry.js', 'decodeObjects', files['rgb.png'])).toEqual({
      blob: rgb,
      bitmap: rgb,
      imageData: [1, 2, 3, 4, 5, 6],
      closed: expect.stringMatching(/BadImageError: closed: the header says 0 x 0/),
      large: expect.stringMatching(/BadImageError: large: .*over the limit of 10/),
      pixels: expect.stringMatching(/BadImageError: pixels: 417 x 301 pixels are over/),
    });
  });

  test('tokenizes and draws phantoms without a request', async ({ skip }) => {
    if ('skip' in opened) return skip(opened.skip);
    const requests: string[] = [];
    opened.page.on('request', (request) => requests.push(request.url()));
    expect(await opened.call('/entry.js', 'portableParts')).toEqual(await portableParts());
    expect(requests.filter((url) => !url.endsWith('/entry.js'))).toEqual([]);
  });
});

describe('Deno', () => {
  const obstacle = denoObstacle();
  // Beside node_modules, so that Deno finds sharp there as it does for an installed package.
  const folder = mkdtempSync(join('node_modules', '.mla-lp-test-'));
  const outside = mkdtempSync(join(tmpdir(), 'mla-lp-deno-'));
  afterAll(() => {
    for (const path of [folder, outside]) rmSync(path, { recursive: true });
  });

  async function script(where: string): Promise<string> {
    const contents = `
      import { decodeImage } from './src/platform/deno/decode-image';
      import { decodeAll, portableParts } from './test/data/decode-entry';
      const files = JSON.parse(await Deno.readTextFile(Deno.args[0]));
      console.log(JSON.stringify({ decoded: await decodeAll(files, decodeImage), parts: await portableParts() }));`;
    const stdin = { contents, resolveDir: process.cwd(), loader: 'ts' as const };
    const { outputFiles } = await build({ ...bundling('neutral'), stdin });
    writeFileSync(join(where, 'files.json'), JSON.stringify(files));
    writeFileSync(join(where, 'run.mjs'), outputFiles[0]!.contents);
    return join(where, 'run.mjs');
  }

  test.skipIf(obstacle)('decodes byte for byte as Node does, tokenizes and draws', async () => {
    const path = await script(folder);
    const { stdout } = await runDeno(path, [join(folder, 'files.json')]);
    const { decoded, parts } = JSON.parse(stdout) as { decoded: Record<string, Outcome>; parts: unknown };
    expect(decoded).toEqual(here);
    expect(parts).toEqual(await portableParts());
  });

  test.skipIf(obstacle)(
    'without leave to load native code, PNG and BMP work and the rest is explained',
    async () => {
      const path = await script(outside);
      const { stdout } = await runDeno(path, [join(outside, 'files.json')], {
        permissions: ['--allow-read'],
      });
      const { decoded } = JSON.parse(stdout) as { decoded: Record<string, Outcome> };
      for (const name of Object.keys(files).filter(exact)) expect(decoded[name], name).toEqual(here[name]);
      expect(decoded['turned.jpg']!.error).toMatch(
        /turned\.jpg: a JPEG needs the package sharp .*--allow-ffi/,
      );
    },
  );
});

function bundling(platform: 'browser' | 'neutral') {
  return {
    bundle: true,
    write: false as const,
    format: 'esm' as const,
    target: 'es2022',
    platform,
    mainFields: ['module', 'main'],
    loader: { '.gz': 'binary' as const, '.wgsl': 'text' as const },
    external: ['sharp', 'node:*', '@cornerstonejs/*'],
  };
}
