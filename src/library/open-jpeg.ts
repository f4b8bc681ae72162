import { type OpenJpegFactory, openJpegDecoder } from '../data/openjpeg';
import { platform } from './platform';

/**
 * Lets a page decode JPEG 2000 and HTJ2K inside DICOM. The decoder is a package of its own, so that pages without such files carry
 * none: `npm install @cornerstonejs/codec-openjpeg`. Node and Deno load it by themselves when a file needs it.
 * @param factory the default export of `@cornerstonejs/codec-openjpeg/decodewasmjs`.
 * @param wasm URL of `@cornerstonejs/codec-openjpeg/decodewasm`; fetched when the first such file is read. A page's content
 * security policy must allow `wasm-unsafe-eval`.
 */
export function useOpenJpeg(factory: OpenJpegFactory, wasm: string): void {
  platform().decoders.jpeg2000 = () => openJpegDecoder(factory, wasm);
}
