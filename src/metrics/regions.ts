/** Connected regions of a mask, 8-connected: pixels that touch at a corner belong together. */
import { ShapeError } from '../runtime/errors';

export interface Regions {
  readonly count: number;
  /** Of each pixel, how many pixels its region has; 0 outside. */
  readonly sizeAt: Uint32Array;
}

/**
 * Keeps its buffers between masks, so that the result of one call is overwritten by the next.
 */
export class RegionFinder {
  private sizeAt = new Uint32Array(0);
  private queue = new Uint32Array(0);

  /**
   * @param mask row-major, 0 normal, anything else abnormal. @param width px.
   * @throws ShapeError when the mask has no whole number of rows.
   */
  find(mask: Uint8Array, width: number): Regions {
    const pixels = mask.length;
    if (!(width > 0) || pixels % width !== 0) {
      throw new ShapeError(`A mask of ${pixels} pixels has no rows of ${width}.`);
    }
    if (this.sizeAt.length !== pixels) {
      this.sizeAt = new Uint32Array(pixels);
      this.queue = new Uint32Array(pixels);
    }
    const { sizeAt, queue } = this;
    sizeAt.fill(0);
    let count = 0;
    for (let seed = 0; seed < pixels; seed++) {
      if (mask[seed] === 0 || sizeAt[seed] !== 0) continue;
      count++;
      // Breadth first; 1 marks what is queued until the size is known.
      let end = 0;
      queue[end++] = seed;
      sizeAt[seed] = 1;
      for (let next = 0; next < end; next++) {
        const at = queue[next]!;
        const x = at % width;
        const left = x > 0 ? -1 : 0;
        const right = x < width - 1 ? 1 : 0;
        for (let row = at - width; row <= at + width; row += width) {
          if (row < 0 || row >= pixels) continue;
          for (let neighbour = row + left; neighbour <= row + right; neighbour++) {
            if (mask[neighbour] === 0 || sizeAt[neighbour] !== 0) continue;
            sizeAt[neighbour] = 1;
            queue[end++] = neighbour;
          }
        }
      }
      for (let i = 0; i < end; i++) sizeAt[queue[i]!] = end;
    }
    return { count, sizeAt };
  }
}
