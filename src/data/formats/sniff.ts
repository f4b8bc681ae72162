/** Content decides what a file is; its name does not. */

export type ImageFormat = 'dicom' | 'nifti' | 'png' | 'jpeg' | 'webp' | 'tiff' | 'bmp';

interface Signature {
  readonly at: number;
  readonly bytes: string;
}

/** In order: a DICOM file may be a TIFF as well, or begin with anything else. Gzip is taken for NIfTI until it is opened. */
const formats: Readonly<Record<ImageFormat, readonly Signature[]>> = {
  dicom: [{ at: 128, bytes: 'DICM' }],
  nifti: [
    { at: 344, bytes: 'n+1\0' },
    { at: 344, bytes: 'ni1\0' },
    { at: 4, bytes: 'n+2\0\r\n\x1a\n' },
    { at: 0, bytes: '\x1f\x8b' },
  ],
  png: [{ at: 0, bytes: '\x89PNG\r\n\x1a\n' }],
  jpeg: [{ at: 0, bytes: '\xff\xd8' }],
  webp: [],
  tiff: [
    { at: 0, bytes: 'II*\0' },
    { at: 0, bytes: 'MM\0*' },
    { at: 0, bytes: 'II+\0' },
    { at: 0, bytes: 'MM\0+' },
  ],
  bmp: [{ at: 0, bytes: 'BM' }],
};

/** Formats that people do try, so that the message can say more than "unknown". */
const others: readonly (Signature & { readonly what: string; readonly remedy: string })[] = [
  { at: 0, bytes: 'PK\x03\x04', what: 'a zip archive', remedy: 'Unpack it and give the images inside.' },
  { at: 0, bytes: '%PDF', what: 'a PDF', remedy: 'Export the figure as PNG.' },
  { at: 0, bytes: 'GIF8', what: 'a GIF', remedy: 'Convert it to PNG.' },
  { at: 4, bytes: 'ftyp', what: 'a HEIF, AVIF or video file', remedy: 'Convert it to PNG.' },
  { at: 0, bytes: '\xff\x0a', what: 'a JPEG XL image', remedy: 'Convert it to PNG.' },
  { at: 4, bytes: 'jP  ', what: 'a JPEG 2000 image', remedy: 'Convert it to PNG.' },
];

/** The format that the first bytes announce, or null. */
export function sniffFormat(bytes: Uint8Array): ImageFormat | null {
  if (matches(bytes, { at: 0, bytes: 'RIFF' }) && matches(bytes, { at: 8, bytes: 'WEBP' })) return 'webp';
  for (const [format, signatures] of Object.entries(formats)) {
    if (signatures.some((signature) => matches(bytes, signature))) return format as ImageFormat;
  }
  return null;
}

/** What a file that is none of ours looks like, and what to do with it. */
export function describeForeign(bytes: Uint8Array): { what: string; remedy: string } {
  return (
    others.find((signature) => matches(bytes, signature)) ?? {
      what: 'no image format known here',
      remedy: 'Give PNG, JPEG, WebP, TIFF, BMP, DICOM or NIfTI.',
    }
  );
}

function matches(bytes: Uint8Array, { at, bytes: wanted }: Signature): boolean {
  if (bytes.length < at + wanted.length) return false;
  for (let i = 0; i < wanted.length; i++) if (bytes[at + i] !== wanted.charCodeAt(i)) return false;
  return true;
}
