/** What the tests of other platforms run there: each case to a checksum or an error's message, as JSON can carry it. */

import type { OpenJpegFactory } from '../../src/data/openjpeg';
import { makePhantom } from '../../src/data/phantoms';
import { toModelInput } from '../../src/data/resize';
import { tokenize } from '../../src/model/tokenizer';
import { decodeImage, readImage } from '../../src/platform/browser/decode-image';

type Decode = (
  bytes: Uint8Array,
  name: string,
) => Promise<{ width: number; height: number; data: Uint8Array }>;

export interface Outcome {
  readonly size?: readonly [number, number];
  /** RGB bytes as hexadecimal SHA-256. */
  readonly rgb?: string;
  readonly first?: readonly number[];
  readonly input?: string;
  readonly error?: string;
}

const sha256 = async (bytes: Uint8Array<ArrayBuffer>) =>
  Array.from(new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)), (b) => b.toString(16)).join('');

export async function decodeAll(files: Readonly<Record<string, string>>, decode: Decode = decodeImage) {
  const outcomes: Record<string, Outcome> = {};
  for (const [name, base64] of Object.entries(files)) {
    const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
    try {
      const { width, height, data } = await decode(bytes, name);
      const image = { width, height, data: Uint8Array.from(data) };
      outcomes[name] = {
        size: [width, height],
        rgb: await sha256(image.data),
        first: [...data.subarray(0, 300)],
        input: await sha256(new Uint8Array(toModelInput(image, 64).buffer)),
      };
    } catch (error) {
      outcomes[name] = { error: `${(error as Error).name}: ${(error as Error).message}` };
    }
  }
  return outcomes;
}

/** Tokens and a phantom: no fetch and no file behind either. */
export async function portableParts() {
  const tokens = [...(await tokenize(['no evidence of disease.']))];
  const { image, mask } = makePhantom(5, { modality: 'chest X-ray', abnormal: true });
  return { tokens, phantom: await sha256(Uint8Array.from([...image.data, ...mask])) };
}

/** Pixels that a page already has, from a Blob, an ImageBitmap and ImageData. */
export async function decodeObjects(pngBase64: string) {
  const blob = new Blob([Uint8Array.from(atob(pngBase64), (c) => c.charCodeAt(0))]);
  const bitmap = await createImageBitmap(blob, { colorSpaceConversion: 'none', premultiplyAlpha: 'none' });
  const data = new ImageData(Uint8ClampedArray.of(1, 2, 3, 128, 4, 5, 6, 0), 2, 1);
  const closed = await createImageBitmap(blob);
  closed.close();
  const attempt = (work: Promise<unknown>) => work.then(String, (e: Error) => `${e.name}: ${e.message}`);
  return {
    blob: await sha256((await readImage(blob, 'blob')).data),
    bitmap: await sha256((await readImage(bitmap, 'bitmap')).data),
    imageData: [...(await readImage(data, 'data')).data],
    closed: await attempt(readImage(closed, 'closed')),
    large: await attempt(readImage(blob, 'large', { maxBytes: 10 })),
    pixels: await attempt(readImage(bitmap, 'pixels', { maxPixels: 10 })),
  };
}

/** The same file before and after the page got a decoder. */
export async function decodeJpeg2000(dicomBase64: string) {
  const before = await decodeAll({ file: dicomBase64 });
  // @ts-expect-error without types
  const module: { default: OpenJpegFactory } = await import('@cornerstonejs/codec-openjpeg/decodewasmjs');
  // As a page has it: from the package's own entry.
  const { useOpenJpeg } = await import('../../src/library/browser');
  useOpenJpeg(module.default, '/openjpeg.wasm');
  const after = await decodeAll({ file: dicomBase64, cut: dicomBase64.slice(0, -400) });
  return { before: before.file!, after: after.file!, cut: after.cut! };
}
