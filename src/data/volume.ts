/** Pictures that lie behind each other, in a file or a folder: one interface for DICOM and NIfTI. */
import { BadImageError, OptionError } from '../runtime/errors';
import type { Decoders } from './codec';
import { openDicom } from './formats/dicom/dicom';
import type { Plane } from './formats/dicom/image';
import { openNifti } from './formats/nifti/nifti';
import { sniffFormat } from './formats/sniff';
import type { RgbImage } from './image';
import { checkByteLength, type DecodeLimits, defaultDecodeLimits } from './limits';

/** Gray values (after rescaling; in CT Hounsfield units) from black to white: centre - width / 2 to centre + width / 2. */
export interface GrayWindow {
  readonly center: number;
  readonly width: number;
}

export interface VolumeOptions {
  /** What is black and white, instead of what the file says or its values suggest. */
  readonly window?: GrayWindow;
  /** NIfTI: the voxel axis to cut across; the acquisition's own unless told, else the last. */
  readonly axis?: 0 | 1 | 2;
  /** NIfTI with several volumes: which one, from 0. */
  readonly volume?: number;
  /** Everything over zero is white, the rest black: files of labels. */
  readonly mask?: boolean;
  readonly limits?: Partial<DecodeLimits>;
}

/** Where slices lie: in the grid of voxels and, where the file tells, in the patient. */
export interface SliceGrid {
  /** Voxels along each axis of the file's grid. */
  readonly dims: readonly [number, number, number];
  /** The axis that slices are cut across, and those along a picture's columns (x) and rows (y). */
  readonly axes: { readonly slice: 0 | 1 | 2; readonly x: 0 | 1 | 2; readonly y: 0 | 1 | 2 };
  /** Whether x and y run against their axes. */
  readonly flip: { readonly x: boolean; readonly y: boolean };
  /** Millimetres between voxels. */
  readonly spacing: readonly [number, number, number];
  /**
   * Row-major [3, 4]: from voxel indices to millimetres towards the patient's right, front and head ("RAS+", as NIfTI has
   * it). Absent where the file does not say.
   */
  readonly affine?: readonly number[];
}

/** What tells the files of a DICOM series from others, and their order. For sorting only: never shown or written. */
export interface SeriesPlace {
  readonly series: string;
  readonly instance?: number;
  readonly plane: Plane;
}

export interface Volume {
  readonly format: 'dicom' | 'nifti';
  readonly slices: number;
  /** Facts that a user should hear of; no text of the file's. */
  readonly warnings: readonly string[];
  readonly grid: SliceGrid;
  /** Of a DICOM file. */
  readonly place?: SeriesPlace;
  /** Lowest and highest gray value; there where they are black and white because the file names no window. */
  valueRange?(): Promise<readonly [number, number]>;
  /** What messages and reports call slice i; slices count from 0. */
  label(i: number): string;
  /** Decodes slice i. @throws BadImageError */
  slice(i: number): Promise<RgbImage>;
}

/** Whether the first bytes are those of a file that may hold several pictures; 352 of them are enough. */
export function isVolumeFile(head: Uint8Array): boolean {
  const format = sniffFormat(head);
  return format === 'dicom' || format === 'nifti';
}

/**
 * Opens a DICOM file (single or multi-frame) or a NIfTI volume (.nii, .nii.gz). Slices are decoded when asked for.
 * @param bytes the whole file. @param name what messages call it.
 * @throws BadImageError, OptionError (an axis or volume that the file has not).
 */
export async function openVolume(
  decoders: Decoders,
  bytes: Uint8Array,
  name: string,
  options: VolumeOptions = {},
): Promise<Volume> {
  const limits = { ...defaultDecodeLimits, ...options.limits };
  checkByteLength(name, bytes.length, limits);
  const { window } = options;
  if (window && !(Number.isFinite(window.center) && window.width > 0 && Number.isFinite(window.width))) {
    throw new OptionError(
      `A window with centre ${window.center} and width ${window.width} shows nothing.`,
      'Give a finite centre and a width over 0.',
    );
  }
  const own =
    bytes.buffer instanceof ArrayBuffer ? (bytes as Uint8Array<ArrayBuffer>) : Uint8Array.from(bytes);
  const format = sniffFormat(own);
  if (format === 'dicom') return openDicom(decoders, own, name, options, limits);
  if (format === 'nifti') return openNifti(own, name, options, limits);
  throw new BadImageError(name, 'this is neither DICOM nor NIfTI', 'Give a volume, or use it as a picture.');
}

/** The picture of a file that holds one. @throws BadImageError when it holds several. */
export async function onlySlice(volume: Volume, name: string): Promise<RgbImage> {
  if (volume.slices === 1) return volume.slice(0);
  throw new BadImageError(
    name,
    `this is a volume of ${volume.slices} slices, not one picture`,
    'Give it to `mla-lp detect`, open it with openVolume(), or export the slice that you mean.',
  );
}
