/**
 * Outlines of regions as SVG paths: marching squares (Lorensen and Cline 1987, in two dimensions) on pixel centres. Pixels that touch
 * at a corner are one region, as AUPRO counts them; the picture's border closes what reaches it. Holes run the other way round, so
 * both fill rules draw them as holes.
 */
import { ShapeError } from '../runtime/errors';

export interface ContourOptions {
  /** Size that the path is drawn at, in its own units; the grid's own size when left out. Aspects may differ. */
  readonly target?: { readonly width: number; readonly height: number };
  /**
   * Crossings between neighbouring pixels that are traced at most; 20 000. A grid with more is halved until it has fewer: of every four
   * values the largest stays, so that no region gets lost.
   */
  readonly maxCrossings?: number;
}

interface Grid {
  readonly values: ArrayLike<number>;
  readonly width: number;
  readonly height: number;
}

/** Larger grids are halved before anything is traced: a screen shows no more. */
const MAX_PIXELS = 1 << 22;

/**
 * The outline of a mask. Pixel centres inside the path are exactly the mask's, unless it had to be halved.
 * @param mask [height, width], row-major: 0 outside, anything else inside. @returns SVG path data, empty where nothing is inside.
 * @throws ShapeError when the mask is not width x height.
 */
export function maskContour(
  mask: Uint8Array,
  width: number,
  height: number,
  options: ContourOptions = {},
): string {
  return contour({ values: mask, width, height }, 1, false, options);
}

/**
 * The outline of where a map reaches a threshold, interpolated between pixels.
 * @param map [height, width], row-major; NaN counts as outside. @param threshold values of at least this are inside.
 * @returns SVG path data, empty where nothing is inside. @throws ShapeError when the map is not width x height.
 */
export function mapContour(
  map: Float32Array,
  width: number,
  height: number,
  threshold: number,
  options: ContourOptions = {},
): string {
  return contour({ values: map, width, height }, threshold, true, options);
}

function contour(given: Grid, level: number, smooth: boolean, options: ContourOptions): string {
  const { width, height, values } = given;
  if (width < 1 || height < 1 || values.length !== width * height) {
    throw new ShapeError(`A region of ${width}x${height} pixels has ${values.length} values.`);
  }
  const { target = given, maxCrossings = 20_000 } = options;
  let grid = given;
  while (grid.width * grid.height > MAX_PIXELS || crossings(grid, level) > maxCrossings) grid = halve(grid);
  const [toX, toY] = [target.width / grid.width, target.height / grid.height];
  return loops(grid, level, smooth)
    .map((points) => {
      const corners = simplify(points, smooth ? 0.1 : 0.25).map(
        ([x, y]) => `${decimal(x * toX)} ${decimal(y * toY)}`,
      );
      return `M${corners.join('L')}Z`;
    })
    .join('');
}

/** How many pairs of neighbours the outline runs between; counted before memory is asked for. */
function crossings({ values, width, height }: Grid, level: number): number {
  let count = 0;
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      const inside = values[i]! >= level;
      if (inside !== (x > 0 && values[i - 1]! >= level)) count++;
      if (inside !== (y > 0 && values[i - width]! >= level)) count++;
      if (inside && x === width - 1) count++;
      if (inside && y === height - 1) count++;
    }
  }
  return count;
}

function halve(grid: Grid): Grid {
  const width = Math.ceil(grid.width / 2);
  const height = Math.ceil(grid.height / 2);
  const values = new Float32Array(width * height).fill(Number.NEGATIVE_INFINITY);
  for (let y = 0, i = 0; y < grid.height; y++) {
    for (let x = 0; x < grid.width; x++, i++) {
      const o = (y >> 1) * width + (x >> 1);
      // Not Math.max, which a NaN would win.
      if (grid.values[i]! > values[o]!) values[o] = grid.values[i]!;
    }
  }
  return { values, width, height };
}

type Point = readonly [x: number, y: number];

/**
 * Sides of a cell between four pixel centres that the outline enters and leaves by, the inside to its right; by which corners are inside:
 * 1 top left, 2 top right, 4 bottom right, 8 bottom left. Opposite corners (5 and 10) are joined.
 */
const [TOP, RIGHT, BOTTOM, LEFT] = [0, 1, 2, 3] as const;
const SEGMENTS: readonly (readonly (readonly [from: number, to: number])[])[] = [
  [],
  [[TOP, LEFT]],
  [[RIGHT, TOP]],
  [[RIGHT, LEFT]],
  [[BOTTOM, RIGHT]],
  [
    [TOP, RIGHT],
    [BOTTOM, LEFT],
  ],
  [[BOTTOM, TOP]],
  [[BOTTOM, LEFT]],
  [[LEFT, BOTTOM]],
  [[TOP, BOTTOM]],
  [
    [LEFT, TOP],
    [RIGHT, BOTTOM],
  ],
  [[RIGHT, BOTTOM]],
  [[LEFT, RIGHT]],
  [[TOP, RIGHT]],
  [[LEFT, TOP]],
  [],
];

/** All closed lines around what is inside, in pixels, the first pixel's centre at (0.5, 0.5). */
function loops({ values, width, height }: Grid, level: number, smooth: boolean): Point[][] {
  const at = (x: number, y: number) =>
    x < 0 || y < 0 || x >= width || y >= height ? Number.NaN : values[y * width + x]!;
  // A pair of neighbours is known by its first pixel, on a grid with a border of one, and by its direction.
  const across = width + 2;
  const pair = (x: number, y: number, down: 0 | 1) => ((y + 1) * across + x + 1) * 2 + down;
  const next = new Map<number, number>();
  for (let y = -1; y < height; y++) {
    for (let x = -1; x < width; x++) {
      const inside =
        (at(x, y) >= level ? 1 : 0) +
        (at(x + 1, y) >= level ? 2 : 0) +
        (at(x + 1, y + 1) >= level ? 4 : 0) +
        (at(x, y + 1) >= level ? 8 : 0);
      const segments = SEGMENTS[inside]!;
      if (segments.length === 0) continue;
      const sides = [pair(x, y, 0), pair(x + 1, y, 1), pair(x, y + 1, 0), pair(x, y, 1)];
      for (const [from, to] of segments) next.set(sides[from]!, sides[to]!);
    }
  }
  const place = (key: number): Point => {
    const down = key & 1;
    const x = ((key >> 1) % across) - 1;
    const y = Math.floor((key >> 1) / across) - 1;
    const share = smooth ? crossing(at(x, y), at(x + 1 - down, y + down), level) : 0.5;
    return down ? [x + 0.5, y + 0.5 + share] : [x + 0.5 + share, y + 0.5];
  };
  const all: Point[][] = [];
  for (const start of next.keys()) {
    const points: Point[] = [];
    for (let key: number | undefined = start; key !== undefined; ) {
      const following: number | undefined = next.get(key);
      if (following === undefined) break;
      points.push(place(key));
      next.delete(key);
      key = following;
    }
    all.push(points);
  }
  return all;
}

/** Where between two neighbours the level lies, kept off both: a lone pixel that just reaches the level is still seen. */
function crossing(first: number, second: number, level: number): number {
  const share = (level - first) / (second - first);
  return Number.isFinite(share) ? Math.min(Math.max(share, 0.15), 0.85) : 0.5;
}

/**
 * A closed line with fewer corners, nowhere further than `tolerance` from the first one (Douglas and Peucker 1973). An outline of a mask
 * keeps 0.35 pixels off all pixel centres, one of a map 0.15 along a row or column: with less than that, none is lost.
 */
function simplify(points: readonly Point[], tolerance: number): readonly Point[] {
  const last = points.length;
  const point = (i: number) => points[i % last]!;
  const keep = new Uint8Array(last + 1);
  // Two ends to begin with: the first corner and the one furthest from it.
  let furthest = 0;
  let distance = 0;
  for (let i = 1; i < last; i++) {
    const d = Math.hypot(points[i]![0] - points[0]![0], points[i]![1] - points[0]![1]);
    if (d > distance) [distance, furthest] = [d, i];
  }
  keep[0] = 1;
  keep[furthest] = 1;
  const spans: [number, number][] = [
    [0, furthest],
    [furthest, last],
  ];
  for (let span = spans.pop(); span; span = spans.pop()) {
    const [from, to] = span;
    let middle = 0;
    let most = tolerance;
    for (let i = from + 1; i < to; i++) {
      const d = toSegment(point(i), point(from), point(to));
      if (d > most) [most, middle] = [d, i];
    }
    if (middle === 0) continue;
    keep[middle] = 1;
    spans.push([from, middle], [middle, to]);
  }
  return points.filter((_, i) => keep[i]);
}

function toSegment([x, y]: Point, [x0, y0]: Point, [x1, y1]: Point): number {
  const [dx, dy] = [x1 - x0, y1 - y0];
  const length = dx * dx + dy * dy;
  const t = length === 0 ? 0 : Math.min(Math.max(((x - x0) * dx + (y - y0) * dy) / length, 0), 1);
  return Math.hypot(x - x0 - t * dx, y - y0 - t * dy);
}

/** At most two decimals, without trailing zeros. */
function decimal(value: number): string {
  return String(Math.round(value * 100) / 100);
}
