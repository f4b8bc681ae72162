/**
 * Image decoding in browsers. PNG and BMP go through our own decoders, so that their pixels are those of every other
 * platform; JPEG and WebP go through the browser's. What that costs: pixels under partly transparent WebP are rounded by
 * the canvas, a JPEG whose picture data is damaged inside an intact frame is not noticed, and CMYK is converted as the
 * browser likes.
 */
import type { Codec, Decoders } from '../../data/codec';
import { decodeWith } from '../../data/decode';
import type { RgbImage } from '../../data/image';
import {
  checkByteLength,
  checkDimensions,
  type DecodeLimits,
  type DecodeOptions,
  defaultDecodeLimits,
} from '../../data/limits';
import { BadImageError } from '../../runtime/errors';

/** What a page can have an image as. */
export type BrowserImage = Uint8Array | Blob | ImageData | ImageBitmap;

/**
 * @param input the bytes of a PNG, JPEG, WebP, BMP, DICOM or NIfTI file, a Blob or File of them, or pixels. An ImageBitmap
 * stays open; its colours are those that it was made with (make it with `colorSpaceConversion: 'none', premultiplyAlpha: 'none'`).
 * @param name what messages call it.
 * @throws BadImageError naming the image, what is wrong and what to do.
 */
export async function readImage(
  input: BrowserImage,
  name: string,
  options: DecodeOptions = {},
): Promise<RgbImage> {
  const full = { ...defaultDecodeLimits, ...options };
  if (input instanceof Blob) {
    // Before it is read into memory.
    checkByteLength(name, input.size, full);
    return decodeImage(await blobBytes(input, name), name, full);
  }
  if (typeof ImageBitmap !== 'undefined' && input instanceof ImageBitmap) {
    checkDimensions(name, input.width, input.height, full);
    return fromBitmap(input, name);
  }
  if (typeof ImageData !== 'undefined' && input instanceof ImageData) return fromImageData(input, name, full);
  return decodeImage(input as Uint8Array, name, full);
}

/** The bytes of an image file; see readImage. */
export function decodeImage(bytes: Uint8Array, name: string, options?: DecodeOptions): Promise<RgbImage> {
  return decodeWith(decoders, bytes, name, options);
}

async function blobBytes(blob: Blob, name: string): Promise<Uint8Array> {
  try {
    return new Uint8Array(await blob.arrayBuffer());
  } catch (cause) {
    throw new BadImageError(
      name,
      'the file cannot be read',
      'It may have been moved or changed: choose it again.',
      {
        cause,
      },
    );
  }
}

const decodeWithBrowser: Codec = async ({ name, bytes, format }) => {
  // The metadata of a JPEG is gone by now, so there is no orientation left to apply.
  const bitmap = await createImageBitmap(new Blob([bytes], { type: `image/${format}` }), {
    colorSpaceConversion: 'none',
    premultiplyAlpha: 'none',
  });
  try {
    return fromBitmap(bitmap, name);
  } finally {
    bitmap.close();
  }
};

/** What a browser lends to decoding. */
export const decoders: Decoders = { codec: decodeWithBrowser };

function fromBitmap(bitmap: ImageBitmap, name: string): RgbImage {
  const { width, height } = bitmap;
  const context = new OffscreenCanvas(width, height).getContext('2d', {
    // On the CPU: a GPU canvas may differ by driver, and a lost one reads as zeros.
    willReadFrequently: true,
    colorSpace: 'srgb',
  });
  if (!context) throw new BadImageError(name, 'this browser cannot read its pixels', 'Convert it to PNG.');
  context.drawImage(bitmap, 0, 0);
  return withoutAlpha(context.getImageData(0, 0, width, height));
}

function fromImageData(image: ImageData, name: string, limits: DecodeLimits): RgbImage {
  checkDimensions(name, image.width, image.height, limits);
  const data: unknown = image.data;
  if (!(data instanceof Uint8ClampedArray)) {
    throw new BadImageError(name, 'its ImageData is not 8 bits a channel', 'Ask the canvas for rgba-unorm8.');
  }
  return withoutAlpha(image);
}

function withoutAlpha({ width, height, data }: ImageData): RgbImage {
  const rgb = new Uint8Array(width * height * 3);
  for (let i = 0, o = 0; i < data.length; i += 4, o += 3) {
    rgb[o] = data[i]!;
    rgb[o + 1] = data[i + 1]!;
    rgb[o + 2] = data[i + 2]!;
  }
  return { width, height, data: rgb };
}
