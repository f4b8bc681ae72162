/** NIfTI files for tests, byte by byte (nifti1.h, nifti2.h). */

export interface NiftiShape {
  version?: 1 | 2;
  little?: boolean;
  dims?: readonly number[];
  /** Code of the data type, and how a value is written. */
  type?: number;
  slope?: number;
  inter?: number;
  info?: number;
  pixdim?: readonly number[];
  sform?: readonly number[];
  /** quatern_b, c, d, qoffset_x, y, z */
  qform?: readonly number[];
  offset?: number;
  magic?: string;
  headerSize?: number;
}

export const NIFTI_CANARIES = ['CANARY-DESCRIP', 'CANARY-AUX', 'CANARY-DB', 'CANARY-INTENT'];

const writers: Record<number, [number, (b: Buffer, v: number, at: number, le: boolean) => void]> = {
  2: [1, (b, v, at) => b.writeUInt8(v, at)],
  4: [2, (b, v, at, le) => (le ? b.writeInt16LE(v, at) : b.writeInt16BE(v, at))],
  8: [4, (b, v, at, le) => (le ? b.writeInt32LE(v, at) : b.writeInt32BE(v, at))],
  16: [4, (b, v, at, le) => (le ? b.writeFloatLE(v, at) : b.writeFloatBE(v, at))],
  64: [8, (b, v, at, le) => (le ? b.writeDoubleLE(v, at) : b.writeDoubleBE(v, at))],
  128: [3, (b, v, at) => b.fill(Uint8Array.of(v, v + 1, v + 2), at, at + 3)],
  256: [1, (b, v, at) => b.writeInt8(v, at)],
  512: [2, (b, v, at, le) => (le ? b.writeUInt16LE(v, at) : b.writeUInt16BE(v, at))],
  768: [4, (b, v, at, le) => (le ? b.writeUInt32LE(v, at) : b.writeUInt32BE(v, at))],
  1024: [8, (b, v, at, le) => (le ? b.writeBigInt64LE(BigInt(v), at) : b.writeBigInt64BE(BigInt(v), at))],
  1280: [8, (b, v, at, le) => (le ? b.writeBigUInt64LE(BigInt(v), at) : b.writeBigUInt64BE(BigInt(v), at))],
  2304: [4, (b, v, at) => b.fill(Uint8Array.of(v, v + 1, v + 2, 9), at, at + 4)],
};

/** @param values x fastest. */
export function makeNifti(shape: NiftiShape, values: readonly number[]): Buffer {
  const { version = 1, little: le = true, dims = [values.length, 1, 1], type = 4 } = shape;
  const wide = version === 2;
  const size = wide ? 540 : 348;
  const { offset = size + 4 } = shape;
  const header = Buffer.alloc(
    Math.max(size + 4, Number.isFinite(offset) && offset < 1e6 ? Math.floor(offset) : 0),
  );
  const i16 = (v: number, at: number) => (le ? header.writeInt16LE(v, at) : header.writeInt16BE(v, at));
  const i32 = (v: number, at: number) => (le ? header.writeInt32LE(v, at) : header.writeInt32BE(v, at));
  const whole = (v: number, at: number, k = 0) => {
    if (!wide) i16(v, at + 2 * k);
    else if (le) header.writeBigInt64LE(BigInt(v), at + 8 * k);
    else header.writeBigInt64BE(BigInt(v), at + 8 * k);
  };
  const real = (v: number, at: number, k = 0) => {
    if (!wide) le ? header.writeFloatLE(v, at + 4 * k) : header.writeFloatBE(v, at + 4 * k);
    else le ? header.writeDoubleLE(v, at + 8 * k) : header.writeDoubleBE(v, at + 8 * k);
  };
  const at = wide
    ? {
        dim: 16,
        type: 12,
        bits: 14,
        pixdim: 104,
        offset: 168,
        slope: 176,
        inter: 184,
        info: 524,
        q: 344,
        s: 348,
        quatern: 352,
        srow: 400,
        descrip: 240,
        aux: 320,
        magic: 4,
      }
    : {
        dim: 40,
        type: 70,
        bits: 72,
        pixdim: 76,
        offset: 108,
        slope: 112,
        inter: 116,
        info: 39,
        q: 252,
        s: 254,
        quatern: 256,
        srow: 280,
        descrip: 148,
        aux: 228,
        magic: 344,
      };
  i32(shape.headerSize ?? size, 0);
  [dims.length, ...dims].forEach((v, k) => {
    whole(v, at.dim, k);
  });
  const [bytes, write] = writers[type] ?? [2, writers[4]![1]];
  i16(type, at.type);
  i16(8 * bytes, at.bits);
  (shape.pixdim ?? [1, 1, 1, 1]).forEach((v, k) => {
    real(v, at.pixdim, k);
  });
  if (wide) whole(offset, at.offset);
  else real(offset, at.offset);
  real(shape.slope ?? 0, at.slope);
  real(shape.inter ?? 0, at.inter);
  header[at.info] = shape.info ?? 0;
  const code = (v: number, o: number) => (wide ? i32(v, o) : i16(v, o));
  code(shape.qform ? 1 : 0, at.q);
  code(shape.sform ? 1 : 0, at.s);
  (shape.qform ?? []).forEach((v, k) => {
    real(v, at.quatern, k);
  });
  (shape.sform ?? []).forEach((v, k) => {
    real(v, at.srow, k);
  });
  header.write(NIFTI_CANARIES[0]!, at.descrip, 'latin1');
  header.write(NIFTI_CANARIES[1]!, at.aux, 'latin1');
  if (!wide) {
    header.write(NIFTI_CANARIES[2]!, 14, 'latin1');
    header.write(NIFTI_CANARIES[3]!, 328, 'latin1');
  }
  header.write(shape.magic ?? (wide ? 'n+2\0\r\n\x1a\n' : 'n+1\0'), at.magic, 'latin1');
  const body = Buffer.alloc(bytes * values.length);
  values.forEach((v, i) => {
    write(body, v, i * bytes, le);
  });
  return Buffer.concat([header, body]);
}
