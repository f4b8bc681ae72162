/** What a decoder may cost. Every limit is checked before the work that it bounds. */
import { BadImageError } from '../runtime/errors';

export interface DecodeLimits {
  /** Largest file, in bytes. */
  readonly maxBytes: number;
  /** Largest width * height. */
  readonly maxPixels: number;
  /** Longest time one image may take, in milliseconds. */
  readonly timeoutMs: number;
}

/** Limits that differ from the defaults, and what the picture is for. */
export interface DecodeOptions extends Partial<DecodeLimits> {
  /** Labels: of DICOM and NIfTI, everything over zero is white. Other formats are what they show. */
  readonly mask?: boolean;
}

/** 512 MiB, 100 megapixels, 60 seconds: above any radiograph or fundus photograph, below what would stop the machine. */
export const defaultDecodeLimits: DecodeLimits = {
  maxBytes: 512 * 2 ** 20,
  maxPixels: 100_000_000,
  timeoutMs: 60_000,
};

/** @throws BadImageError when a file of `bytes` bytes is empty or over the limit. */
export function checkByteLength(name: string, bytes: number, limits: DecodeLimits): void {
  if (bytes === 0) throw new BadImageError(name, 'the file is empty', 'Copy or export it again.');
  if (bytes > limits.maxBytes) {
    throw new BadImageError(
      name,
      `${bytes} bytes are over the limit of ${limits.maxBytes}`,
      'Export a smaller image, or raise maxBytes.',
    );
  }
}

/** @throws BadImageError when the header's size is zero or over the pixel limit. */
export function checkDimensions(name: string, width: number, height: number, limits: DecodeLimits): void {
  if (!(width >= 1 && height >= 1)) {
    throw new BadImageError(name, `the header says ${width} x ${height} pixels`, 'Export the image again.');
  }
  if (width * height > limits.maxPixels) {
    throw new BadImageError(
      name,
      `${width} x ${height} pixels are over the limit of ${limits.maxPixels / 1e6} megapixels`,
      'Scale it down first, or raise maxPixels.',
    );
  }
}

/** Remedy for files that end early. */
export const COPY_AGAIN = 'It is cut off or damaged: copy or export it again.';
