/**
 * DICOM Secondary Capture (PS3.3, A.8.1): a picture as RGB, explicit VR little endian. Nothing of a source goes in: no patient,
 * no study, new UIDs. What is burned into the picture itself stays there.
 */
import { ShapeError } from '../runtime/errors';

export interface SecondaryCapture {
  readonly width: number;
  readonly height: number;
  /** RGB, width * height * 3 bytes. */
  readonly data: Uint8Array;
  /** UIDs that pictures of one run share; new ones unless given (`newUid`). */
  readonly study?: string;
  readonly series?: string;
  /** Place in the series, from 1. */
  readonly instance?: number;
  /** Version of this software. */
  readonly version: string;
  /** What the picture is, for the reader: ours, never a file's. */
  readonly description: string;
}

const SECONDARY_CAPTURE = '1.2.840.10008.5.1.4.1.1.7';
const EXPLICIT_LITTLE = '1.2.840.10008.1.2.1';
/** Of this implementation: a fixed UID under 2.25 (PS3.5, B.2). */
const IMPLEMENTATION = '2.25.228375462985436591236740918273645564738';
const LONG = new Set(['OB', 'OW', 'SQ', 'UN']);

/** A UID that nobody has: 2.25 and a random UUID as a decimal number (PS3.5, B.2). */
export function newUid(): string {
  return `2.25.${BigInt(`0x${crypto.randomUUID().replaceAll('-', '')}`)}`;
}

/** The whole file. @throws ShapeError when the data is not width * height * 3 bytes, or DICOM cannot hold the size. */
export function secondaryCapture(picture: SecondaryCapture): Uint8Array<ArrayBuffer> {
  const { width, height, data, version } = picture;
  if (data.length !== 3 * width * height) {
    throw new ShapeError(`The picture has ${data.length} bytes, ${width} x ${height} x 3 were expected.`);
  }
  if (!(width >= 1 && height >= 1 && width <= 65_535 && height <= 65_535)) {
    throw new ShapeError(`DICOM holds no picture of ${width} x ${height} pixels.`, 'Scale it down.');
  }
  const uid = newUid();
  const dataset = [
    element(0x0008, 0x0008, 'CS', 'DERIVED\\SECONDARY'),
    element(0x0008, 0x0016, 'UI', SECONDARY_CAPTURE),
    element(0x0008, 0x0018, 'UI', uid),
    element(0x0008, 0x0020, 'DA', ''),
    element(0x0008, 0x0030, 'TM', ''),
    element(0x0008, 0x0050, 'SH', ''),
    element(0x0008, 0x0060, 'CS', 'OT'),
    element(0x0008, 0x0064, 'CS', 'WSD'),
    element(0x0008, 0x0090, 'PN', ''),
    element(0x0008, 0x103e, 'LO', 'Abnormality heatmap, research only'),
    element(0x0008, 0x2111, 'ST', picture.description),
    element(0x0010, 0x0010, 'PN', ''),
    element(0x0010, 0x0020, 'LO', ''),
    element(0x0010, 0x0030, 'DA', ''),
    element(0x0010, 0x0040, 'CS', ''),
    element(0x0012, 0x0062, 'CS', 'YES'),
    element(0x0012, 0x0063, 'LO', 'Written without any attribute of the source'),
    element(0x0018, 0x1016, 'LO', 'mla-lp'),
    element(0x0018, 0x1018, 'LO', 'mla-lp'),
    element(0x0018, 0x1019, 'LO', version),
    element(0x0020, 0x000d, 'UI', picture.study ?? newUid()),
    element(0x0020, 0x000e, 'UI', picture.series ?? newUid()),
    element(0x0020, 0x0010, 'SH', ''),
    element(0x0020, 0x0011, 'IS', '1'),
    element(0x0020, 0x0013, 'IS', String(picture.instance ?? 1)),
    element(0x0020, 0x0020, 'CS', ''),
    element(0x0020, 0x0060, 'CS', ''),
    element(0x0028, 0x0002, 'US', short(3)),
    element(0x0028, 0x0004, 'CS', 'RGB'),
    element(0x0028, 0x0006, 'US', short(0)),
    element(0x0028, 0x0010, 'US', short(height)),
    element(0x0028, 0x0011, 'US', short(width)),
    element(0x0028, 0x0100, 'US', short(8)),
    element(0x0028, 0x0101, 'US', short(8)),
    element(0x0028, 0x0102, 'US', short(7)),
    element(0x0028, 0x0103, 'US', short(0)),
    element(0x7fe0, 0x0010, 'OB', data),
  ];
  const meta = [
    element(0x0002, 0x0001, 'OB', Uint8Array.of(0, 1)),
    element(0x0002, 0x0002, 'UI', SECONDARY_CAPTURE),
    element(0x0002, 0x0003, 'UI', uid),
    element(0x0002, 0x0010, 'UI', EXPLICIT_LITTLE),
    element(0x0002, 0x0012, 'UI', IMPLEMENTATION),
    element(0x0002, 0x0013, 'SH', 'MLA-LP'),
  ];
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(
    0,
    meta.reduce((sum, part) => sum + part.length, 0),
    true,
  );
  return joined([
    new Uint8Array(128),
    ascii('DICM'),
    element(0x0002, 0x0000, 'UL', length),
    ...meta,
    ...dataset,
  ]);
}

/** One data element, padded to even length (PS3.5, 7.1.2). */
function element(group: number, number: number, vr: string, value: string | Uint8Array): Uint8Array {
  const bytes = typeof value === 'string' ? ascii(value) : value;
  const padded = bytes.length + (bytes.length % 2);
  const head = LONG.has(vr) ? 12 : 8;
  const out = new Uint8Array(head + padded);
  const view = new DataView(out.buffer);
  view.setUint16(0, group, true);
  view.setUint16(2, number, true);
  out.set(ascii(vr), 4);
  if (head === 12) view.setUint32(8, padded, true);
  else view.setUint16(6, padded, true);
  out.set(bytes, head);
  if (padded > bytes.length && vr !== 'UI' && vr !== 'OB') out[out.length - 1] = 0x20;
  return out;
}

function short(value: number): Uint8Array {
  return Uint8Array.of(value & 255, value >> 8);
}

function ascii(text: string): Uint8Array {
  return Uint8Array.from(text, (c) => (c.charCodeAt(0) < 128 ? c.charCodeAt(0) : 0x3f));
}

function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
