/** JPEG 2000, HTJ2K included, for DICOM frames: OpenJPEG compiled to WebAssembly, as `@cornerstonejs/codec-openjpeg` offers it. */
import type { Jpeg2000Decoder } from './codec';

/** The part of the package's interface that is used; it brings no types. */
interface StreamDecoder {
  getEncodedBuffer(length: number): Uint8Array;
  decode(): void;
  getDecodedBuffer(): Uint8Array;
  getFrameInfo(): { width: number; height: number; bitsPerSample: number };
  delete(): void;
}

interface ModuleOptions {
  print(line: string): void;
  printErr(line: string): void;
  locateFile?(name: string): string;
}

/** What the package's `decodewasmjs` exports by default. */
export type OpenJpegFactory = (options: ModuleOptions) => Promise<{ readonly J2KDecoder: new () => unknown }>;

/** @param wasm where `decodewasm` is, if not beside the script. */
export async function openJpegDecoder(factory: OpenJpegFactory, wasm?: string): Promise<Jpeg2000Decoder> {
  let complaint: string | undefined;
  const note = (line: string) => {
    // It fills what a damaged stream lacks, and only says so.
    if (/WARNING|ERROR/.test(line)) complaint ??= line;
  };
  const { J2KDecoder } = await factory({
    print: note,
    printErr: note,
    ...(wasm !== undefined && { locateFile: () => wasm }),
  });
  return (stream) => {
    complaint = undefined;
    const decoder = new J2KDecoder() as StreamDecoder;
    try {
      decoder.getEncodedBuffer(stream.length).set(stream);
      decoder.decode();
      if (complaint !== undefined) throw new Error(complaint);
      const { width, height, bitsPerSample: bits } = decoder.getFrameInfo();
      // A copy: the decoder's memory is used again.
      return { width, height, bits, bytes: Uint8Array.from(decoder.getDecodedBuffer()) };
    } finally {
      decoder.delete();
    }
  };
}
