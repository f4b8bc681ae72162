/** Reads the images of an evaluation, as often as asked, as sortable keys with the regions of their masks. */
import { ShapeError, ValueError } from '../runtime/errors';
import { RegionFinder } from './regions';
import { sortableKeys } from './sortable';

export interface PixelImage {
  /** f32 scores, row-major; higher means more abnormal. */
  readonly map: Float32Array;
  /** Labels of the same pixels: 0 normal, anything else abnormal. All 0 for a normal image. */
  readonly mask: Uint8Array;
  /** px; default: the map is square. */
  readonly width?: number;
}

/** It is iterated several times and must give the same images each time: an array, or an object that opens files anew. */
export type PixelImages = AsyncIterable<PixelImage> | Iterable<PixelImage>;

/** One image in a pass; valid until the next. */
export interface KeyedImage {
  readonly index: number;
  /** Its pixels are the first `pixels` of these. */
  readonly keys: Int32Array;
  readonly pixels: number;
  readonly mask: Uint8Array;
  /** Of each pixel, the size of its abnormal region; all 0 where there is none. */
  readonly regionSizes: Uint32Array;
  readonly regions: number;
}

export class PixelPasses {
  private keys = new Int32Array(0);
  private readonly finder = new RegionFinder();

  constructor(private readonly images: PixelImages) {}

  /** @throws ShapeError when map and mask do not fit. @throws ValueError on a NaN score. */
  async each(visit: (image: KeyedImage) => void): Promise<void> {
    let index = 0;
    for await (const { map, mask, width = Math.sqrt(map.length) } of this.images) {
      const what = `Image ${index}`;
      if (map.length !== mask.length) {
        throw new ShapeError(`${what}: the mask has ${mask.length} pixels, the map ${map.length}.`);
      }
      if (!Number.isInteger(width) || width < 1 || map.length % width !== 0) {
        throw new ShapeError(
          `${what}: ${map.length} pixels make no rows of ${width}.`,
          'Give the width of the map.',
        );
      }
      if (this.keys.length < map.length) this.keys = new Int32Array(map.length);
      sortableKeys(map, this.keys, what);
      const { count, sizeAt } = this.finder.find(mask, width);
      visit({ index, keys: this.keys, pixels: map.length, mask, regionSizes: sizeAt, regions: count });
      index++;
    }
  }
}

export function changedBetweenPasses(): ValueError {
  return new ValueError(
    'The images were not the same when they were read again.',
    'Give images that can be iterated several times (no generator that runs out), and leave their files alone.',
  );
}
