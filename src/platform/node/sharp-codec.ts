/** The codec that sharp lends to Node and Deno. Loaded when first needed: PNG and BMP do without it. */
import type { Sharp } from 'sharp';
import type { Codec } from '../../data/codec';
import type { RgbImage } from '../../data/image';

/** JPEG, WebP and TIFF through libvips, as strict as it goes. */
export const decodeWithSharp: Codec = async (input, limits) => {
  const { default: sharp } = await import('sharp');
  const picture = sharp(input.bytes, {
    // Damaged pixel data is a warning to libjpeg and would come out as gray stripes.
    failOn: 'warning',
    limitInputPixels: limits.maxPixels,
    limitInputChannels: 5,
    sequentialRead: true,
    ignoreIcc: true,
    autoOrient: false,
    pages: 1,
  }).timeout({ seconds: Math.max(1, Math.ceil(limits.timeoutMs / 1000)) });
  return input.cmyk ? fromCmyk(picture) : fromRgb(picture);
};

async function fromRgb(picture: Sharp): Promise<RgbImage> {
  const { data, info } = await picture
    .removeAlpha()
    .toColourspace('srgb')
    .raw({ depth: 'uchar' })
    .toBuffer({ resolveWithObject: true });
  return { width: info.width, height: info.height, data: Uint8Array.from(data) };
}

/** Without a profile: RGB = (255 - ink) * (255 - black) / 255, rounded, per channel. */
async function fromCmyk(picture: Sharp): Promise<RgbImage> {
  const { data, info } = await picture
    // Both, or libvips goes through sRGB and back with a press profile of its own.
    .pipelineColourspace('cmyk')
    .toColourspace('cmyk')
    .raw({ depth: 'uchar' })
    .toBuffer({ resolveWithObject: true });
  const rgb = new Uint8Array(info.width * info.height * 3);
  for (let i = 0, o = 0; o < rgb.length; i += 4) {
    const light = 255 - data[i + 3]!;
    for (let c = 0; c < 3; c++) rgb[o++] = Math.round(((255 - data[i + c]!) * light) / 255);
  }
  return { width: info.width, height: info.height, data: rgb };
}
