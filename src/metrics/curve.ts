/** Collects a curve of any length in bounded memory and thins it to what a drawing needs. */
import type { Curve } from './metrics';

const MOST_POINTS = 512;
/** Points nearer to the last one kept than this, in x and in y, wait: nothing of that size is seen in a drawing. */
const NEAR = 1 / 4096;
/** A triangle as small as this is rounding. */
const STRAIGHT = 1e-15;

export class CurveBuilder {
  private readonly x: number[] = [];
  private readonly y: number[] = [];
  private readonly threshold: number[] = [];
  private lastX = Number.NaN;
  private lastY = Number.NaN;
  private waiting = false;
  private waitingX = 0;
  private waitingY = 0;
  private waitingThreshold = 0;

  /** x and y in 0..1, in drawing order. */
  add(x: number, y: number, threshold: number): void {
    if (Math.abs(x - this.lastX) < NEAR && Math.abs(y - this.lastY) < NEAR) {
      this.waiting = true;
      this.waitingX = x;
      this.waitingY = y;
      this.waitingThreshold = threshold;
      return;
    }
    // The last point before a jump is a corner.
    this.flush();
    this.keep(x, y, threshold);
  }

  /** At most 512 points; the first and the last are among them. */
  build(): Curve {
    this.flush();
    const kept = thin(this.x, this.y, MOST_POINTS);
    return {
      x: kept.map((i) => this.x[i]!),
      y: kept.map((i) => this.y[i]!),
      threshold: kept.map((i) => this.threshold[i]!),
    };
  }

  private flush(): void {
    if (this.waiting) this.keep(this.waitingX, this.waitingY, this.waitingThreshold);
    this.waiting = false;
  }

  private keep(x: number, y: number, threshold: number): void {
    this.x.push(x);
    this.y.push(y);
    this.threshold.push(threshold);
    this.lastX = x;
    this.lastY = y;
  }
}

/**
 * Drops points on straight lines, then those that span the smallest triangle with their neighbours until few enough are left, after
 * Visvalingam and Whyatt (1993); here in rounds that never drop two neighbours. Corners go last.
 * @returns indices, ascending.
 */
function thin(x: readonly number[], y: readonly number[], most: number): number[] {
  let kept: number[] = [];
  for (let i = 0; i < x.length; i++) {
    const inner = i > 0 && i < x.length - 1;
    if (!inner || area(x, y, kept.at(-1)!, i, i + 1) > STRAIGHT) kept.push(i);
  }
  while (kept.length > most) {
    const areas = kept.map((at, i) => (i === 0 ? 0 : area(x, y, kept[i - 1]!, at, kept[i + 1] ?? at)));
    const inner = Array.from({ length: kept.length - 2 }, (_, i) => i + 1);
    inner.sort((a, b) => areas[a]! - areas[b]! || a - b);
    // Half of what has to go: the others' triangles have changed by then.
    const round = Math.ceil((kept.length - most) / 2);
    const dropped = new Set<number>();
    for (const i of inner) {
      if (dropped.size === round) break;
      if (!dropped.has(i - 1) && !dropped.has(i + 1)) dropped.add(i);
    }
    kept = kept.filter((_, i) => !dropped.has(i));
  }
  return kept;
}

function area(x: readonly number[], y: readonly number[], a: number, b: number, c: number): number {
  return Math.abs((x[b]! - x[a]!) * (y[c]! - y[a]!) - (x[c]! - x[a]!) * (y[b]! - y[a]!)) / 2;
}
