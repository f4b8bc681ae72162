import type { Jpeg2000Decoder } from '../../data/codec';
import { type OpenJpegFactory, openJpegDecoder } from '../../data/openjpeg';

/**
 * From npm, an optional dependency, loaded when a file needs it.
 * @throws whatever the import throws where the package is not installed.
 */
export async function loadJpeg2000(): Promise<Jpeg2000Decoder> {
  // @ts-expect-error without types
  const module: { default: OpenJpegFactory } = await import('@cornerstonejs/codec-openjpeg/decodewasmjs');
  return openJpegDecoder(module.default);
}
