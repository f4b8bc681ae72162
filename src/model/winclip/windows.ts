/** Which tokens WinCLIP's windows hold (Jeong et al. 2023, section 4.2: every place of a window, stride 1). */
import { OptionError } from '../../runtime/errors';

/** Sides of the windows, patches: small and middle. The image itself is the large one. */
export const WINDOW_SIDES = [2, 3] as const;

/** Windows of a side along a grid. @throws OptionError when the grid is smaller than the window. */
export function windowsAlong(grid: number, side: number): number {
  if (grid < side) {
    throw new OptionError(
      `An image of ${grid} x ${grid} patches holds no window of ${side} x ${side}.`,
      `Use a larger --image-size: WinCLIP needs ${Math.max(...WINDOW_SIDES)} patches a side.`,
    );
  }
  return grid - side + 1;
}

/**
 * Rows of the windows' tokens among tokens [B * (1 + grid * grid)]: per image and window (row by row) the class token, then the
 * patches row by row; u32 [B * n * n * (1 + side * side)].
 */
export function windowRows(batch: number, grid: number, side: number): Uint32Array<ArrayBuffer> {
  const n = windowsAlong(grid, side);
  const rows = new Uint32Array(batch * n * n * (1 + side * side));
  let at = 0;
  for (let b = 0; b < batch; b++) {
    const image = b * (1 + grid * grid);
    for (let top = 0; top < n; top++)
      for (let left = 0; left < n; left++) {
        rows[at++] = image;
        for (let y = top; y < top + side; y++)
          for (let x = left; x < left + side; x++) rows[at++] = image + 1 + y * grid + x;
      }
  }
  return rows;
}

/** The first rows of `count` sequences of `length` tokens: their class tokens. */
export function classRows(count: number, length: number): Uint32Array<ArrayBuffer> {
  return Uint32Array.from({ length: count }, (_, i) => i * length);
}
