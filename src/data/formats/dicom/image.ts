/**
 * What a DICOM file says of its pixels (PS3.3, C.7.6.3 Image Pixel; C.11.1 and C.11.2 LUTs; functional groups of enhanced
 * objects), checked before anything is allocated or decoded.
 */
import { BadImageError } from '../../../runtime/errors';
import { COPY_AGAIN, checkDimensions, type DecodeLimits } from '../../limits';
import type { Attributes } from './attributes';
import { PIXEL_DATA } from './elements';
import type { DicomFile, PixelEncoding } from './read';

export type Photometric =
  | 'MONOCHROME1'
  | 'MONOCHROME2'
  | 'PALETTE COLOR'
  | 'RGB'
  | 'YBR_FULL'
  | 'YBR_FULL_422'
  | 'YBR_ICT'
  | 'YBR_RCT';

/** Samples a pixel, by photometric interpretation; others are not supported. */
const photometrics: Readonly<Record<Photometric, 1 | 3>> = {
  MONOCHROME1: 1,
  MONOCHROME2: 1,
  'PALETTE COLOR': 1,
  RGB: 3,
  YBR_FULL: 3,
  YBR_FULL_422: 3,
  YBR_ICT: 3,
  YBR_RCT: 3,
};

/** How samples lie in memory. */
export interface SampleLayout {
  /** Rows, columns: pixels. */
  readonly rows: number;
  readonly columns: number;
  readonly samples: 1 | 3;
  /** Bits of a sample's container, used bits of it, and the highest used one. */
  readonly allocated: 1 | 8 | 16 | 32;
  readonly stored: number;
  readonly highBit: number;
  readonly signed: boolean;
  /** Colour by plane instead of by pixel. */
  readonly planar: boolean;
}

/** A table: what is below `first` takes the first entry, what is beyond its end the last (PS3.3, C.11.1.1.1). */
export interface Lut {
  readonly first: number;
  /** 0 to `top`. */
  readonly values: Uint16Array;
  readonly top: number;
}

export type VoiFunction = 'LINEAR' | 'LINEAR_EXACT' | 'SIGMOID';

export interface Window {
  readonly center: number;
  readonly width: number;
  readonly kind: VoiFunction;
}

/** From stored values to what is shown. */
export interface GrayTransform {
  /** Stored value * slope + intercept; a LUT instead where there is one. */
  readonly slope: number;
  readonly intercept: number;
  readonly modality?: Lut;
  /** Absent: from the lowest to the highest value. */
  readonly window?: Window;
  readonly voi?: Lut;
}

/** Where a frame lies in the patient (PS3.3, C.7.6.2): millimetres, x to the left, y to the back, z to the head. */
export interface Plane {
  readonly position?: readonly number[];
  /** Direction of a row, then of a column, as unit vectors. */
  readonly orientation?: readonly number[];
  /** Between rows, between columns. */
  readonly spacing?: readonly number[];
  readonly thickness?: number;
}

export interface DicomImage extends SampleLayout {
  readonly frames: number;
  readonly photometric: Photometric;
  readonly encoding: PixelEncoding;
  readonly little: boolean;
  /** Pixels of this stored value, or between it and the limit, are no picture. */
  readonly padding?: readonly [number, number];
  /** Red, green, blue of palette pictures. */
  readonly palette?: readonly [Lut, Lut, Lut];
  gray(frame: number): GrayTransform;
  plane(frame: number): Plane;
}

const EXPORT = 'Export the image again, or as PNG.';
/** A cine run takes some thousand. */
const MAX_FRAMES = 100_000;

/**
 * @param window whether the file's own counts. @throws BadImageError naming the attribute that cannot be true or is not
 * supported.
 */
export function describeImage(
  file: DicomFile,
  name: string,
  limits: DecodeLimits,
  window: boolean,
): DicomImage {
  const a = file.attributes;
  const bad = (detail: string, remedy = EXPORT) => new BadImageError(name, detail, remedy);
  if (!a.element(PIXEL_DATA)) {
    throw bad('the DICOM file holds no pixel data', 'Give an image, no report, plan or waveform.');
  }
  const rows = a.requiredShort(0x00280010, 'Rows');
  const columns = a.requiredShort(0x00280011, 'Columns');
  checkDimensions(name, columns, rows, limits);
  const frames = a.decimals(0x00280008, 1)?.[0] ?? 1;
  if (!Number.isInteger(frames) || frames < 1 || frames > MAX_FRAMES) {
    throw bad(`the DICOM file claims ${frames} frames`);
  }
  const text = a.text(0x00280004) ?? '';
  if (!Object.hasOwn(photometrics, text)) {
    throw bad(`photometric interpretation ${printable(text)} is not supported`);
  }
  const photometric = text as Photometric;
  const samples = a.short(0x00280002) ?? 1;
  if (samples !== photometrics[photometric]) {
    throw bad(`${photometric} with ${samples} samples a pixel does not fit together`);
  }
  const allocated = a.requiredShort(0x00280100, 'Bits Allocated');
  if (allocated !== 1 && allocated !== 8 && allocated !== 16 && allocated !== 32) {
    throw bad(`${allocated} bits allocated are not supported`);
  }
  const gray = photometric === 'MONOCHROME1' || photometric === 'MONOCHROME2';
  const deep = allocated === 32 || allocated === 1;
  if (deep && (!gray || file.pixels !== 'native')) {
    throw bad(`${photometric} pixels of ${allocated} bits, compressed or in colour, are not supported`);
  }
  const stored = a.short(0x00280101) ?? allocated;
  if (stored < 1 || stored > allocated)
    throw bad(`${stored} bits stored in ${allocated} allocated cannot be`);
  const highBit = a.short(0x00280102) ?? stored - 1;
  if (highBit < stored - 1 || highBit >= allocated) {
    throw bad(`high bit ${highBit} with ${stored} bits stored in ${allocated} cannot be`);
  }
  const representation = a.short(0x00280103) ?? 0;
  if (representation > 1) throw bad(`pixel representation ${representation} does not exist`);
  const planarCode = a.short(0x00280006) ?? 0;
  if (samples === 3 && planarCode > 1) throw bad(`planar configuration ${planarCode} does not exist`);
  if (photometric === 'YBR_FULL_422' && file.pixels === 'native' && (allocated !== 8 || columns % 2 !== 0)) {
    throw bad('YBR_FULL_422 needs 8 bits and an even number of columns');
  }
  const signed = representation === 1 && samples === 1;
  const palette = photometric === 'PALETTE COLOR' ? readPalette(a, name) : undefined;
  const padding = readPadding(a, signed);
  const groups = functionalGroups(a, frames);
  // Read once for what all frames share.
  const common = gray ? readGray([a, ...groups.shared], name, signed, window) : undefined;
  return {
    rows,
    columns,
    frames,
    samples: samples as 1 | 3,
    photometric,
    allocated,
    stored,
    highBit,
    signed,
    planar: samples === 3 && planarCode === 1,
    encoding: file.pixels,
    little: file.little,
    ...(padding && { padding }),
    ...(palette && { palette }),
    gray: (frame) => {
      const own = groups.of(frame);
      return own.length === 0 && common
        ? common
        : readGray([a, ...groups.shared, ...own], name, signed, window);
    },
    plane: (frame) => readPlane([a, ...groups.shared, ...groups.of(frame)]),
  };
}

const PER_FRAME_SEQUENCES = [0x00289145, 0x00289132, 0x00209113, 0x00209116, 0x00289110];

/** The macros of the shared and per-frame functional groups that say something of gray values and place. */
function functionalGroups(a: Attributes, frames: number) {
  const macros = (item: Attributes | undefined) =>
    item ? PER_FRAME_SEQUENCES.flatMap((tag) => item.items(tag).slice(0, 1)) : [];
  const perFrame = a.items(0x52009230);
  const fits = perFrame.length === frames;
  return {
    shared: macros(a.items(0x52009229)[0]),
    of: (frame: number) => macros(fits ? perFrame[frame] : undefined),
  };
}

/** @param sets from the most general to the most special; the last that says something counts. */
function readGray(
  sets: readonly Attributes[],
  name: string,
  signed: boolean,
  ownWindow: boolean,
): GrayTransform {
  const last = <T>(read: (set: Attributes) => T | undefined): T | undefined =>
    sets.reduce<T | undefined>((found, set) => read(set) ?? found, undefined);
  const slope = last((s) => s.decimals(0x00281053, 1)?.[0]) ?? 1;
  const intercept = last((s) => s.decimals(0x00281052, 1)?.[0]) ?? 0;
  if (slope === 0)
    throw new BadImageError(name, 'its rescale slope is 0, which makes all pixels equal', EXPORT);
  const modality = last((s) => readLutItem(s, 0x00283000, name, signed));
  if (!ownWindow) return { slope, intercept, ...(modality && { modality }) };
  const center = last((s) => s.decimals(0x00281050, 1)?.[0]);
  const width = last((s) => s.decimals(0x00281051, 1)?.[0]);
  const kind = last((s) => s.text(0x00281056)) ?? 'LINEAR';
  const voi = last((s) => readLutItem(s, 0x00283010, name, signed));
  let window: Window | undefined;
  if (center !== undefined && width !== undefined) {
    if (kind !== 'LINEAR' && kind !== 'LINEAR_EXACT' && kind !== 'SIGMOID') {
      throw new BadImageError(name, `VOI LUT function ${printable(kind)} does not exist`, WINDOW);
    }
    if (!(kind === 'LINEAR' ? width >= 1 : width > 0)) {
      throw new BadImageError(name, `a window ${width} wide shows nothing`, WINDOW);
    }
    window = { center, width, kind };
  }
  return { slope, intercept, ...(modality && { modality }), ...(window && { window }), ...(voi && { voi }) };
}

const WINDOW = 'Give a window of your own (--window CENTRE,WIDTH).';

function readPlane(sets: readonly Attributes[]): Plane {
  const last = (tag: number, count: number): number[] | undefined =>
    sets.reduce<number[] | undefined>((found, set) => {
      let values: number[] | undefined;
      try {
        values = set.decimals(tag, count);
      } catch {
        // A place that cannot be read is no place; the pixels do not need it.
      }
      return values?.length === count ? values : found;
    }, undefined);
  const position = last(0x00200032, 3);
  const orientation = last(0x00200037, 6);
  const spacing = last(0x00280030, 2);
  const thickness = last(0x00180088, 1)?.[0] ?? last(0x00180050, 1)?.[0];
  return {
    ...(position && { position }),
    ...(orientation && { orientation }),
    ...(spacing && { spacing }),
    ...(thickness !== undefined && { thickness }),
  };
}

function readPadding(a: Attributes, signed: boolean): readonly [number, number] | undefined {
  const [value] = a.shorts(0x00280120, signed);
  if (value === undefined) return undefined;
  const [limit = value] = a.shorts(0x00280121, signed);
  return [Math.min(value, limit), Math.max(value, limit)];
}

function readLutItem(set: Attributes, sequence: number, name: string, signed: boolean): Lut | undefined {
  const [item] = set.items(sequence);
  return item && readLut(item, 0x00283002, 0x00283006, name, signed);
}

function readPalette(a: Attributes, name: string): readonly [Lut, Lut, Lut] {
  const colour = (k: number) => readLut(a, 0x00281101 + k, 0x00281201 + k, name, false);
  return [colour(0), colour(1), colour(2)];
}

/** PS3.3, C.11.1.1.1 and C.7.6.3.1.5: entries (0 means 65,536), first value mapped, bits an entry. */
function readLut(a: Attributes, descriptor: number, data: number, name: string, signed: boolean): Lut {
  const [count, , bits] = a.shorts(descriptor);
  const [, first] = a.shorts(descriptor, signed);
  const bytes = a.element(data)?.bytes;
  if (count === undefined || first === undefined || bits === undefined || !bytes) {
    throw new BadImageError(name, 'a lookup table of the DICOM file is missing', EXPORT);
  }
  if (bits < 8 || bits > 16) {
    throw new BadImageError(name, `a lookup table with entries of ${bits} bits does not exist`, EXPORT);
  }
  const entries = count === 0 ? 65_536 : count;
  // Entries of 8 bits are packed into words.
  const packed = bits === 8 && bytes.length < 2 * entries;
  if (bytes.length < (packed ? entries : 2 * entries)) {
    throw new BadImageError(name, 'a lookup table of the DICOM file is shorter than it says', COPY_AGAIN);
  }
  const values = packed ? Uint16Array.from(bytes.subarray(0, entries)) : a.words(data, entries);
  return { first, values, top: 2 ** bits - 1 };
}

/** Text of a file's that an error shows: short, and of the characters that codes are made of. */
function printable(text: string): string {
  return text.slice(0, 16).replace(/[^A-Z0-9_ ]/g, '?') || '(none)';
}
