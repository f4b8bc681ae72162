/** The outside of a DICOM file (PS3.10): preamble, meta information, transfer syntax, and the data set behind them. */
import { BadImageError } from '../../../runtime/errors';
import { COPY_AGAIN, type DecodeLimits } from '../../limits';
import { inflateBounded } from '../inflate';
import { Attributes } from './attributes';
import { ElementReader, type Encoding } from './elements';

export type PixelEncoding = 'native' | 'rle' | 'jpeg' | 'jpeg-lossless' | 'jpeg-ls' | 'jpeg-2000';

interface TransferSyntax extends Encoding {
  readonly pixels: PixelEncoding;
  readonly deflated?: boolean;
}

const little = { explicit: true, little: true };
/** PS3.6, table A-1. */
const syntaxes: Readonly<Record<string, TransferSyntax>> = {
  '1.2.840.10008.1.2': { explicit: false, little: true, pixels: 'native' },
  '1.2.840.10008.1.2.1': { ...little, pixels: 'native' },
  '1.2.840.10008.1.2.1.99': { ...little, pixels: 'native', deflated: true },
  '1.2.840.10008.1.2.2': { explicit: true, little: false, pixels: 'native' },
  '1.2.840.10008.1.2.5': { ...little, pixels: 'rle' },
  '1.2.840.10008.1.2.4.50': { ...little, pixels: 'jpeg' },
  '1.2.840.10008.1.2.4.51': { ...little, pixels: 'jpeg' },
  '1.2.840.10008.1.2.4.57': { ...little, pixels: 'jpeg-lossless' },
  '1.2.840.10008.1.2.4.70': { ...little, pixels: 'jpeg-lossless' },
  '1.2.840.10008.1.2.4.80': { ...little, pixels: 'jpeg-ls' },
  '1.2.840.10008.1.2.4.81': { ...little, pixels: 'jpeg-ls' },
  '1.2.840.10008.1.2.4.90': { ...little, pixels: 'jpeg-2000' },
  '1.2.840.10008.1.2.4.91': { ...little, pixels: 'jpeg-2000' },
  '1.2.840.10008.1.2.4.201': { ...little, pixels: 'jpeg-2000' },
  '1.2.840.10008.1.2.4.202': { ...little, pixels: 'jpeg-2000' },
  '1.2.840.10008.1.2.4.203': { ...little, pixels: 'jpeg-2000' },
};

const META = new Set([0x00020010]);

export interface DicomFile {
  readonly attributes: Attributes;
  readonly little: boolean;
  readonly pixels: PixelEncoding;
  readonly warnings: readonly string[];
}

/** @param bytes a whole file with "DICM" at byte 128. @throws BadImageError */
export async function readDicom(
  bytes: Uint8Array<ArrayBuffer>,
  name: string,
  limits: DecodeLimits,
): Promise<DicomFile> {
  const meta = new ElementReader(bytes, name, little).read(132, (tag) => tag >>> 16 === 2, META);
  const uid = new Attributes(meta.set, name, true).text(0x00020010);
  if (uid === undefined) {
    throw new BadImageError(name, 'the DICOM file names no transfer syntax', COPY_AGAIN);
  }
  const syntax = Object.hasOwn(syntaxes, uid) ? syntaxes[uid]! : undefined;
  if (!syntax) {
    throw new BadImageError(
      name,
      `DICOM transfer syntax ${uid.replace(/[^0-9.]/g, '?')} is not supported`,
      'Unpack it to Explicit VR Little Endian (dcmconv, gdcmconv --raw).',
    );
  }
  let data = bytes;
  let start = meta.end;
  if (syntax.deflated) {
    data = await inflateData(bytes.subarray(meta.end), name, limits);
    start = 0;
  }
  const { set } = new ElementReader(data, name, syntax).read(start);
  return {
    attributes: new Attributes(set, name, syntax.little),
    little: syntax.little,
    pixels: syntax.pixels,
    warnings: preambleWarnings(bytes),
  };
}

/** Files of text or executables hide in the preamble (CVE-2019-11687); a TIFF there is a known, honest use. */
function preambleWarnings(bytes: Uint8Array): string[] {
  const [a, b] = [bytes[0], bytes[1]];
  const tiff = (a === 0x49 && b === 0x49) || (a === 0x4d && b === 0x4d);
  if (tiff || bytes.subarray(0, 128).every((v) => v === 0)) return [];
  return ['the 128 bytes before its DICOM part are not empty; they may hide another file and were not read'];
}

/** A slice compresses about threefold, and a segmentation of any size fits in the rest; what grows further was made to. */
const MOST_GROWTH = 20;
const ALWAYS_ALLOWED = 16 * 2 ** 20;

async function inflateData(
  deflated: Uint8Array<ArrayBuffer>,
  name: string,
  limits: DecodeLimits,
): Promise<Uint8Array<ArrayBuffer>> {
  const most = Math.min(limits.maxBytes, Math.max(ALWAYS_ALLOWED, MOST_GROWTH * deflated.length));
  const attempt = (data: Uint8Array<ArrayBuffer>) => inflateBounded('deflate-raw', data, most, name, limits);
  return attempt(deflated).catch((error: unknown) => {
    // A stream of odd length is followed by one zero (PS3.5, A.5), which strict inflaters refuse.
    if (deflated[deflated.length - 1] !== 0) throw error;
    return attempt(deflated.subarray(0, -1));
  });
}
