/**
 * The headers of NIfTI-1 (348 bytes) and NIfTI-2 (540 bytes), as nifti1.h and nifti2.h define them. Free text (descrip,
 * aux_file, intent_name, db_name, extensions) is not read: it may name the patient.
 */
import { BadImageError } from '../../../runtime/errors';
import { COPY_AGAIN, checkDimensions, type DecodeLimits } from '../../limits';

export interface NiftiType {
  readonly name: string;
  /** Bytes a voxel. */
  readonly bytes: number;
  /** Reads one value; colours have none. */
  readonly read?: (view: DataView, at: number, little: boolean) => number;
  /** Whole numbers only, and how many there are. */
  readonly levels?: number;
}

/** By code (nifti1.h, NIFTI_TYPE_*). Complex, binary and 128-bit types have no gray value. */
const types = new Map<number, NiftiType>([
  [2, { name: 'uint8', bytes: 1, read: (v, at) => v.getUint8(at), levels: 2 ** 8 }],
  [4, { name: 'int16', bytes: 2, read: (v, at, le) => v.getInt16(at, le), levels: 2 ** 16 }],
  [8, { name: 'int32', bytes: 4, read: (v, at, le) => v.getInt32(at, le) }],
  [16, { name: 'float32', bytes: 4, read: (v, at, le) => v.getFloat32(at, le) }],
  [64, { name: 'float64', bytes: 8, read: (v, at, le) => v.getFloat64(at, le) }],
  [128, { name: 'RGB24', bytes: 3 }],
  [256, { name: 'int8', bytes: 1, read: (v, at) => v.getInt8(at), levels: 2 ** 8 }],
  [512, { name: 'uint16', bytes: 2, read: (v, at, le) => v.getUint16(at, le), levels: 2 ** 16 }],
  [768, { name: 'uint32', bytes: 4, read: (v, at, le) => v.getUint32(at, le) }],
  [1024, { name: 'int64', bytes: 8, read: (v, at, le) => Number(v.getBigInt64(at, le)) }],
  [1280, { name: 'uint64', bytes: 8, read: (v, at, le) => Number(v.getBigUint64(at, le)) }],
  [2304, { name: 'RGBA32', bytes: 4 }],
]);

export interface NiftiHeader {
  readonly little: boolean;
  readonly type: NiftiType;
  readonly dims: readonly [number, number, number];
  /** Volumes: the product of the fourth and all further dimensions. */
  readonly volumes: number;
  readonly spacing: readonly [number, number, number];
  /** Of the first voxel, in bytes. */
  readonly offset: number;
  /** Voxel value * slope + intercept. */
  readonly slope: number;
  readonly intercept: number;
  /** The axis across slices as acquired, where the file says. */
  readonly sliceAxis?: 0 | 1 | 2;
  /** Row-major [3, 4], voxel to RAS+ millimetres; absent where the file does not say. */
  readonly affine?: readonly number[];
}

/** Where the fields of the two versions lie. */
const layouts = {
  1: {
    size: 348,
    dim: 40,
    type: 70,
    bits: 72,
    pixdim: 76,
    offset: 108,
    slope: 112,
    inter: 116,
    info: 39,
    qform: 252,
    sform: 254,
    quatern: 256,
    srow: 280,
  },
  2: {
    size: 540,
    dim: 16,
    type: 12,
    bits: 14,
    pixdim: 104,
    offset: 168,
    slope: 176,
    inter: 184,
    info: 524,
    qform: 344,
    sform: 348,
    quatern: 352,
    srow: 400,
  },
} as const;

/** Bytes that hold either header and the magic behind it. */
export const NIFTI_HEADER_BYTES = 544;

/** @param bytes the beginning of the file, unpacked. @throws BadImageError */
export function readNiftiHeader(bytes: Uint8Array, name: string, limits: DecodeLimits): NiftiHeader {
  const bad = (detail: string, remedy = COPY_AGAIN) => new BadImageError(name, detail, remedy);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 348) throw bad('the NIfTI file is shorter than its header');
  const sizes = [view.getInt32(0, true), view.getInt32(0, false)];
  const version = sizes.includes(348) ? 1 : sizes.includes(540) ? 2 : undefined;
  if (version === undefined) throw bad(`the NIfTI header says that it is ${sizes[0]} bytes long`);
  const little = sizes[0] === 348 || sizes[0] === 540;
  const at = layouts[version];
  if (bytes.length < at.size) throw bad('the NIfTI file is shorter than its header');
  const magic = String.fromCharCode(...bytes.subarray(version === 1 ? 344 : 4, version === 1 ? 347 : 7));
  if (magic === `ni${version}`) {
    throw bad('this is the header of a pair of NIfTI files (.hdr, .img)', 'Convert them to one .nii file.');
  }
  if (magic !== `n+${version}`) throw bad('this is no NIfTI file', 'Give a .nii or .nii.gz file.');

  const wide = version === 2;
  const whole = (o: number, k = 0) =>
    wide ? Number(view.getBigInt64(o + 8 * k, little)) : view.getInt16(o + 2 * k, little);
  const real = (o: number, k = 0) =>
    wide ? view.getFloat64(o + 8 * k, little) : view.getFloat32(o + 4 * k, little);
  const rank = whole(at.dim);
  if (!(rank >= 2 && rank <= 7)) throw bad(`the NIfTI header says that there are ${rank} dimensions`);
  const sizesOf = Array.from({ length: 7 }, (_, k) => (k < rank ? whole(at.dim, k + 1) : 1));
  if (sizesOf.some((size) => size < 1))
    throw bad(`a dimension of the NIfTI volume is ${Math.min(...sizesOf)}`);
  const dims = sizesOf.slice(0, 3) as [number, number, number];
  const [a, b, c] = dims;
  for (const [width, height] of [
    [a, b],
    [a, c],
    [b, c],
  ] as const)
    checkDimensions(name, width, height, limits);
  const volumes = sizesOf.slice(3).reduce((product, size) => product * size, 1);
  const code = view.getInt16(at.type, little);
  const type = types.get(code);
  if (!type)
    throw bad(`NIfTI data of type ${code} is not supported`, 'Convert it to float32 (fslmaths -odt float).');
  const bits = view.getInt16(at.bits, little);
  if (bits !== 0 && bits !== 8 * type.bytes) throw bad(`${type.name} of ${bits} bits does not exist`);
  const offset = wide ? whole(at.offset) : real(at.offset);
  if (!Number.isSafeInteger(offset) || offset < at.size + 4) {
    throw bad(`the voxels of the NIfTI file are said to begin at byte ${offset}`);
  }
  const one = a * b * c * type.bytes;
  if (!Number.isSafeInteger(one * volumes) || one > limits.maxBytes) {
    throw bad(
      `a volume of ${a} x ${b} x ${c} ${type.name} voxels is over the limit of ${limits.maxBytes} bytes`,
      'Crop or resample it, or raise maxBytes.',
    );
  }
  const [slope, intercept] = scaling(real(at.slope), real(at.inter), bad);
  const info = (view.getUint8(at.info) >> 4) & 3;
  const spacing = [1, 2, 3].map((k) => {
    const size = Math.abs(real(at.pixdim, k));
    return size > 0 && Number.isFinite(size) ? size : 1;
  }) as [number, number, number];
  const formCode = (o: number) => (wide ? view.getInt32(o, little) : view.getInt16(o, little));
  const numbers = (o: number, count: number) => Array.from({ length: count }, (_, k) => real(o, k));
  const affine =
    (formCode(at.sform) > 0 && usable(numbers(at.srow, 12))) ||
    (formCode(at.qform) > 0 && usable(fromQuaternion(numbers(at.quatern, 6), spacing, real(at.pixdim)))) ||
    undefined;
  return {
    little,
    type,
    dims,
    volumes,
    spacing,
    offset,
    slope,
    intercept,
    ...(info > 0 && { sliceAxis: (info - 1) as 0 | 1 | 2 }),
    ...(affine && { affine }),
  };
}

/** A slope of 0 means none (nifti1.h). */
function scaling(slope: number, intercept: number, bad: (detail: string) => Error): [number, number] {
  if (!Number.isFinite(slope) || (slope !== 0 && !Number.isFinite(intercept))) {
    throw bad(`its voxels are scaled by ${slope} and ${intercept}, which are no numbers`);
  }
  return slope === 0 ? [1, 0] : [slope, intercept];
}

/** nifti1.h, METHOD 2. @param q quatern_b, c, d, qoffset_x, y, z. @param handed pixdim[0]. */
function fromQuaternion(q: readonly number[], spacing: readonly number[], handed: number): number[] {
  const [b, c, d] = q as [number, number, number];
  const a = Math.sqrt(Math.max(0, 1 - (b * b + c * c + d * d)));
  const third = (handed < 0 ? -1 : 1) * spacing[2]!;
  const [first, second] = spacing as [number, number];
  return [
    [
      (a * a + b * b - c * c - d * d) * first,
      2 * (b * c - a * d) * second,
      2 * (b * d + a * c) * third,
      q[3]!,
    ],
    [
      2 * (b * c + a * d) * first,
      (a * a + c * c - b * b - d * d) * second,
      2 * (c * d - a * b) * third,
      q[4]!,
    ],
    [
      2 * (b * d - a * c) * first,
      2 * (c * d + a * b) * second,
      (a * a + d * d - c * c - b * b) * third,
      q[5]!,
    ],
  ].flat();
}

/** An affine with finite numbers and three directions. */
function usable(affine: readonly number[]): readonly number[] | undefined {
  const column = (k: number) => Math.hypot(affine[k]!, affine[4 + k]!, affine[8 + k]!);
  return affine.every(Number.isFinite) && [0, 1, 2].every((k) => column(k) > 0) ? affine : undefined;
}
