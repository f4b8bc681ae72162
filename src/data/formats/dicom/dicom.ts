/** DICOM files as volumes: frames in the file's order. Nothing of the patient's is read (see elements.ts). */

import { OptionError } from '../../../runtime/errors';
import type { Decoders } from '../../codec';
import type { RgbImage } from '../../image';
import type { DecodeLimits } from '../../limits';
import type { SeriesPlace, SliceGrid, Volume, VolumeOptions } from '../../volume';
import type { Attributes } from './attributes';
import { locateFrames } from './frames';
import { type DicomImage, describeImage, type Plane, type Window } from './image';
import { readDicom } from './read';
import { modalityValues, renderColour, renderGray, valueRange } from './render';
import { FrameReader, type Samples } from './samples';

/** @throws BadImageError, OptionError */
export async function openDicom(
  decoders: Decoders,
  bytes: Uint8Array<ArrayBuffer>,
  name: string,
  options: VolumeOptions,
  limits: DecodeLimits,
): Promise<Volume> {
  if (options.axis !== undefined && options.axis !== 2) {
    throw new OptionError(
      `${name}: frames of DICOM are cut as they were acquired, not across axis ${options.axis}.`,
      'Leave the axis out, or convert the series to NIfTI.',
    );
  }
  const file = await readDicom(bytes, name, limits);
  const image = describeImage(file, name, limits, !options.window && !options.mask);
  const frames = new FrameReader(image, locateFrames(file.attributes, image, name), decoders, name, limits);
  const window: Window | undefined = options.window && { ...options.window, kind: 'LINEAR_EXACT' };
  let range: Promise<readonly [number, number]> | undefined;
  const valueRange = () => {
    range ??= rangeOfAll(frames, image);
    return range;
  };
  const first = isGray(image) && !options.mask && !window ? image.gray(0) : undefined;
  const place = seriesPlace(file.attributes, image);
  return {
    format: 'dicom',
    slices: image.frames,
    warnings: file.warnings,
    grid: gridOf(image),
    ...(place && { place }),
    ...(first && !first.window && !first.voi && { valueRange }),
    label: (i) => `slice ${i}`,
    async slice(i) {
      const samples = await frames.read(i);
      if (options.mask) return renderMask(image, samples);
      if (!isGray(image)) return renderColour(image, samples);
      const transform = image.gray(i);
      const gray = modalityValues(samples, transform);
      if (window) return renderGray(image, gray, { window }, [0, 0]);
      if (transform.window || transform.voi) return renderGray(image, gray, transform, [0, 0]);
      return renderGray(image, gray, {}, await valueRange());
    },
  };
}

function seriesPlace(a: Attributes, image: DicomImage): SeriesPlace | undefined {
  const series = a.text(0x0020000e);
  if (!series) return undefined;
  const instance = a.decimals(0x00200013, 1)?.[0];
  return { series, plane: image.plane(0), ...(instance !== undefined && { instance }) };
}

const isGray = ({ photometric }: DicomImage) =>
  photometric === 'MONOCHROME1' || photometric === 'MONOCHROME2';

/** One range for all frames, so that their brightness can be compared. */
async function rangeOfAll(frames: FrameReader, image: DicomImage): Promise<readonly [number, number]> {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < image.frames; i++) {
    const samples = await frames.read(i);
    const found = valueRange(samples, modalityValues(samples, image.gray(i)), image.padding);
    low = Math.min(low, found?.[0] ?? low);
    high = Math.max(high, found?.[1] ?? high);
  }
  return low <= high ? [low, high] : [0, 0];
}

/** White where any sample is over zero. */
function renderMask({ rows, columns, samples: count }: DicomImage, { values, planar }: Samples): RgbImage {
  const pixels = rows * columns;
  const data = new Uint8Array(3 * pixels);
  const [step, plane] = planar ? [1, pixels] : [count, 1];
  for (let i = 0; i < pixels; i++) {
    for (let s = 0; s < count; s++) {
      if (values[i * step + s * plane]! > 0) data.fill(255, 3 * i, 3 * i + 3);
    }
  }
  return { width: columns, height: rows, data };
}

function gridOf(image: DicomImage): SliceGrid {
  const first = image.plane(0);
  return planesToGrid(
    image.columns,
    image.rows,
    image.frames,
    first,
    image.frames > 1 ? image.plane(image.frames - 1) : undefined,
  );
}

/** The grid of parallel planes, from the first and the last one's place in the patient (PS3.3, C.7.6.2.1.1). */
export function planesToGrid(
  columns: number,
  rows: number,
  slices: number,
  first: Plane,
  last: Plane | undefined,
): SliceGrid {
  const [between = 1, across = 1] = (first.spacing ?? []).map(positive);
  const { position, orientation } = first;
  const [x, y] = [orientation?.slice(0, 3), orientation?.slice(3)];
  let normal = x && y && cross(x, y);
  let distance = positive(first.thickness ?? 1);
  if (normal && position && last?.position && slices > 1) {
    const step = last.position.map((value, k) => (value - position[k]!) / (slices - 1));
    const length = Math.hypot(...step);
    if (length > 0) {
      normal = step.map((value) => value / length);
      distance = length;
    }
  }
  const affine =
    position && x && y && normal
      ? [0, 1, 2].flatMap((k) => {
          // DICOM counts towards the patient's left and back, NIfTI towards right and front.
          const sign = k < 2 ? -1 : 1;
          return [x[k]! * across, y[k]! * between, normal[k]! * distance, position[k]!].map(
            (v) => v * sign + 0,
          );
        })
      : undefined;
  return {
    dims: [columns, rows, slices],
    axes: { slice: 2, x: 0, y: 1 },
    flip: { x: false, y: false },
    spacing: [across, between, distance],
    ...(affine && { affine }),
  };
}

const positive = (value: number) => (value > 0 ? value : 1);

function cross(a: readonly number[], b: readonly number[]): number[] {
  return [0, 1, 2].map((k) => {
    const [i, j] = [(k + 1) % 3, (k + 2) % 3];
    return a[i]! * b[j]! - a[j]! * b[i]!;
  });
}
