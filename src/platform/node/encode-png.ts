import type { RgbImage } from '../../data/image';

/** An 8-bit RGB PNG without metadata. */
export async function encodePng(image: RgbImage): Promise<Uint8Array<ArrayBuffer>> {
  const { default: sharp } = await import('sharp');
  const { width, height, data } = image;
  const raw = { raw: { width, height, channels: 3 as const } };
  return Uint8Array.from(await sharp(data, raw).png({ compressionLevel: 6 }).toBuffer());
}

/** A JPEG without metadata: for reports, where hundreds of pictures go into one file. @param quality 1 to 100. */
export async function encodeJpeg(image: RgbImage, quality = 85): Promise<Uint8Array<ArrayBuffer>> {
  const { default: sharp } = await import('sharp');
  const { width, height, data } = image;
  const raw = { raw: { width, height, channels: 3 as const } };
  const jpeg = sharp(data, raw).jpeg({ quality, chromaSubsampling: '4:4:4', mozjpeg: true });
  return Uint8Array.from(await jpeg.toBuffer());
}
