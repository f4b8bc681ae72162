/** NIfTI-1 (nifti1.h) volumes of float32: score maps in the grid of their source. */
import { ShapeError } from '../runtime/errors';

export interface NiftiVolume {
  readonly dims: readonly [number, number, number];
  /** Millimetres between voxels. */
  readonly spacing: readonly [number, number, number];
  /** Row-major [3, 4], voxel indices to RAS+ millimetres; without it readers take the voxels' own order. */
  readonly affine?: readonly number[];
  /** x fastest. */
  readonly values: Float32Array<ArrayBuffer>;
}

const HEADER = 352;
const FLOAT32 = 16;
/** Millimetres, no time. */
const UNITS = 2;
/** NIFTI_XFORM_SCANNER_ANAT: the coordinates are the source's. */
const SCANNER = 1;

/** The bytes of a .nii file, header first. No text of a source goes in. @throws ShapeError */
export function* niftiChunks({ dims, spacing, affine, values }: NiftiVolume): Generator<Uint8Array> {
  const [a, b, c] = dims;
  if (values.length !== a * b * c) {
    throw new ShapeError(`The volume has ${values.length} values, ${dims.join(' x ')} were expected.`);
  }
  if (dims.some((size) => size < 1 || size > 32_767)) {
    throw new ShapeError(`NIfTI-1 holds no volume of ${dims.join(' x ')} voxels.`, 'Write DICOM instead.');
  }
  const header = new Uint8Array(HEADER);
  const view = new DataView(header.buffer);
  view.setInt32(0, 348, true);
  [3, a, b, c, 1, 1, 1, 1].forEach((size, k) => {
    view.setInt16(40 + 2 * k, size, true);
  });
  view.setInt16(70, FLOAT32, true);
  view.setInt16(72, 32, true);
  [1, ...spacing].forEach((size, k) => {
    view.setFloat32(76 + 4 * k, size, true);
  });
  view.setFloat32(108, HEADER, true);
  view.setFloat32(112, 1, true);
  header[123] = UNITS;
  header.set(new TextEncoder().encode('mla-lp score map, research only'), 148);
  if (affine) {
    view.setInt16(254, SCANNER, true);
    affine.forEach((value, k) => {
      view.setFloat32(280 + 4 * k, value, true);
    });
  }
  header.set(new TextEncoder().encode('n+1\0'), 344);
  yield header;
  // The header is little-endian, and so is nearly every machine.
  if (new Uint8Array(Uint16Array.of(1).buffer)[0] === 1) {
    yield new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    return;
  }
  const swapped = new Uint8Array(values.byteLength);
  const out = new DataView(swapped.buffer);
  for (let i = 0; i < values.length; i++) out.setFloat32(4 * i, values[i]!, true);
  yield swapped;
}
