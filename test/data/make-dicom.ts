/** DICOM files for tests, byte by byte (PS3.5, PS3.10). */

export type Value = Uint8Array | string | readonly number[] | DicomElement[][];
export interface DicomElement {
  readonly tag: number;
  readonly vr: string;
  /** Text; bytes; 16-bit numbers; items of a sequence. */
  readonly value: Value;
}

export const el = (tag: number, vr: string, value: Value): DicomElement => ({ tag, vr, value });

export const SYNTAX = {
  implicit: '1.2.840.10008.1.2',
  explicit: '1.2.840.10008.1.2.1',
  deflated: '1.2.840.10008.1.2.1.99',
  big: '1.2.840.10008.1.2.2',
  rle: '1.2.840.10008.1.2.5',
  jpeg: '1.2.840.10008.1.2.4.50',
  extended: '1.2.840.10008.1.2.4.51',
  lossless: '1.2.840.10008.1.2.4.70',
  jpegLs: '1.2.840.10008.1.2.4.80',
  j2k: '1.2.840.10008.1.2.4.90',
  htj2k: '1.2.840.10008.1.2.4.201',
} as const;

const LONG = ['OB', 'OW', 'SQ', 'UN', 'UT'];

/** @param delimited sequences and items of undefined length. */
export function encode(
  elements: readonly DicomElement[],
  { explicit = true, little = true, delimited = false } = {},
): Buffer {
  const u16 = (v: number) => {
    const b = Buffer.alloc(2);
    little ? b.writeUInt16LE(v & 0xffff) : b.writeUInt16BE(v & 0xffff);
    return b;
  };
  const u32 = (v: number) => {
    const b = Buffer.alloc(4);
    little ? b.writeUInt32LE(v) : b.writeUInt32BE(v);
    return b;
  };
  const tagBytes = (tag: number) => Buffer.concat([u16(tag >>> 16), u16(tag & 0xffff)]);
  const body = (value: Value, vr: string): Buffer => {
    if (typeof value === 'string') return Buffer.from(value, 'latin1');
    if (value instanceof Uint8Array) return Buffer.from(value);
    if (vr !== 'SQ') return Buffer.concat((value as number[]).map(u16));
    const items = (value as DicomElement[][]).map((item) => {
      const inner = encode(item, { explicit, little, delimited });
      return delimited
        ? Buffer.concat([tagBytes(0xfffee000), u32(0xffffffff), inner, tagBytes(0xfffee00d), u32(0)])
        : Buffer.concat([tagBytes(0xfffee000), u32(inner.length), inner]);
    });
    return Buffer.concat([...items, ...(delimited ? [tagBytes(0xfffee0dd), u32(0)] : [])]);
  };
  return Buffer.concat(
    elements.flatMap(({ tag, vr, value }) => {
      let bytes = body(value, vr);
      if (bytes.length % 2 === 1)
        bytes = Buffer.concat([bytes, Buffer.from(vr === 'UI' || vr === 'OB' ? '\0' : ' ')]);
      const length = vr === 'SQ' && delimited ? 0xffffffff : bytes.length;
      if (!explicit) return [tagBytes(tag), u32(length), bytes];
      if (LONG.includes(vr)) return [tagBytes(tag), Buffer.from(vr), u16(0), u32(length), bytes];
      return [tagBytes(tag), Buffer.from(vr), u16(length), bytes];
    }),
  );
}

/** Preamble, meta information and a data set that is encoded already. */
export function dicomFile(
  syntax: string,
  dataset: Uint8Array,
  preamble: Uint8Array = Buffer.alloc(128),
): Buffer {
  const meta = encode([
    el(0x00020001, 'OB', Uint8Array.of(0, 1)),
    el(0x00020002, 'UI', '1.2.840.10008.5.1.4.1.1.7'),
    el(0x00020003, 'UI', '2.25.1'),
    el(0x00020010, 'UI', syntax),
    el(0x00020012, 'UI', '2.25.2'),
  ]);
  return Buffer.concat([preamble, Buffer.from('DICM'), meta, dataset]);
}

export interface Picture {
  rows?: number;
  columns?: number;
  frames?: number;
  samples?: number;
  photometric?: string;
  allocated?: number;
  stored?: number;
  highBit?: number;
  signed?: boolean;
  planar?: number;
}

/** Who must never be seen again. */
export const CANARIES = ['CANARY^NAME', 'CANARY-ID', 'CANARY-PRIVATE', 'CANARY-PLACE'];

/** The elements of a picture, patient and private tags among them. @param pixels an element, or its bytes. */
export function picture(
  {
    rows = 2,
    columns = 3,
    frames,
    samples = 1,
    photometric = 'MONOCHROME2',
    allocated = 8,
    stored = allocated,
    highBit = stored - 1,
    signed = false,
    planar = 0,
  }: Picture,
  pixels: Uint8Array,
  extra: readonly DicomElement[] = [],
): DicomElement[] {
  const elements = [
    el(0x00080016, 'UI', '1.2.840.10008.5.1.4.1.1.7'),
    el(0x00080018, 'UI', '2.25.1'),
    el(0x00080080, 'LO', CANARIES[3]!),
    el(0x00090010, 'LO', CANARIES[2]!),
    el(0x00091001, 'LO', CANARIES[2]!),
    el(0x00100010, 'PN', CANARIES[0]!),
    el(0x00100020, 'LO', CANARIES[1]!),
    el(0x0020000d, 'UI', '2.25.3'),
    el(0x0020000e, 'UI', '2.25.4'),
    el(0x00280002, 'US', [samples]),
    el(0x00280004, 'CS', photometric),
    ...(samples > 1 ? [el(0x00280006, 'US', [planar])] : []),
    ...(frames === undefined ? [] : [el(0x00280008, 'IS', String(frames))]),
    el(0x00280010, 'US', [rows]),
    el(0x00280011, 'US', [columns]),
    el(0x00280100, 'US', [allocated]),
    el(0x00280101, 'US', [stored]),
    el(0x00280102, 'US', [highBit]),
    el(0x00280103, 'US', [signed ? 1 : 0]),
    el(0x7fe00010, allocated > 8 ? 'OW' : 'OB', pixels),
  ];
  const replaced = new Set(extra.map(({ tag }) => tag));
  return [...elements.filter(({ tag }) => !replaced.has(tag)), ...extra].sort((a, b) => a.tag - b.tag);
}

/** An uncompressed file. */
export const plain = (shape: Picture, pixels: Uint8Array, extra?: readonly DicomElement[]): Buffer =>
  dicomFile(SYNTAX.explicit, encode(picture(shape, pixels, extra)));

/** Encapsulated pixel data: an offset table and fragments, of undefined length. */
export function encapsulated(fragments: readonly Uint8Array[], table: readonly number[] = []): Buffer {
  const item = (bytes: Uint8Array) => {
    const head = Buffer.from('fe ff 00 e0 00 00 00 00'.replaceAll(' ', ''), 'hex');
    head.writeUInt32LE(bytes.length, 4);
    return Buffer.concat([head, bytes]);
  };
  const offsets = Buffer.alloc(4 * table.length);
  for (const [i, offset] of table.entries()) offsets.writeUInt32LE(offset, 4 * i);
  return Buffer.concat([
    Buffer.from('e07f10004f420000ffffffff', 'hex'),
    item(offsets),
    ...fragments.map((bytes) =>
      item(bytes.length % 2 === 0 ? bytes : Buffer.concat([bytes, Buffer.alloc(1)])),
    ),
    Buffer.from('feffdde000000000', 'hex'),
  ]);
}

/** A compressed file. */
export function compressed(
  syntax: string,
  shape: Picture,
  fragments: readonly Uint8Array[],
  { table, extra }: { table?: readonly number[]; extra?: readonly DicomElement[] } = {},
): Buffer {
  const elements = picture(shape, new Uint8Array(0), extra).filter(({ tag }) => tag !== 0x7fe00010);
  return dicomFile(syntax, Buffer.concat([encode(elements), encapsulated(fragments, table)]));
}

/** 16-bit numbers as bytes, little-endian. */
export const words = (values: readonly number[]): Buffer => {
  const out = Buffer.alloc(2 * values.length);
  for (const [i, value] of values.entries()) out.writeUInt16LE(value & 0xffff, 2 * i);
  return out;
};
