/**
 * JPEG 2000, HTJ2K included, for DICOM frames: OpenJPEG compiled to WebAssembly, from npm. It is an optional dependency,
 * loaded when a file needs it.
 */
import type { Jpeg2000Decoder } from '../../data/codec';

/** The part of the package's interface that is used; it brings no types. */
interface StreamDecoder {
  getEncodedBuffer(length: number): Uint8Array;
  decode(): void;
  getDecodedBuffer(): Uint8Array;
  getFrameInfo(): { width: number; height: number; bitsPerSample: number };
  delete(): void;
}

type ModuleFactory = (options: {
  print(line: string): void;
  printErr(line: string): void;
}) => Promise<{ readonly J2KDecoder: new () => StreamDecoder }>;

/** @throws whatever the import throws where the package is not installed. */
export async function loadJpeg2000(): Promise<Jpeg2000Decoder> {
  // @ts-expect-error without types
  const module: { default: ModuleFactory } = await import('@cornerstonejs/codec-openjpeg/decodewasmjs');
  let complaint: string | undefined;
  const note = (line: string) => {
    // It fills what a damaged stream lacks, and only says so.
    if (/WARNING|ERROR/.test(line)) complaint ??= line;
  };
  const { J2KDecoder } = await module.default({ print: note, printErr: note });
  return (stream) => {
    complaint = undefined;
    const decoder = new J2KDecoder();
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
