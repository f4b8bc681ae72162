/** Gray-value fields that phantoms are built of: square, row-major f64, coordinates 0..1 from the top left corner. */
import type { Random } from '../../runtime/random';

export type Field = Float64Array<ArrayBuffer>;

/** A new field from a function of pixel position (x to the right, y down, each 0..1) and index. */
export function field(size: number, value: (x: number, y: number, i: number) => number): Field {
  const out = new Float64Array(size * size);
  for (let row = 0, i = 0; row < size; row++) {
    for (let column = 0; column < size; column++, i++) out[i] = value(column / size, row / size, i);
  }
  return out;
}

/**
 * Value noise: random heights on a grid, smoothly joined, summed over scales.
 * @param octaves [cells a side, amplitude] of each scale.
 */
export function noise(random: Random, size: number, octaves: readonly (readonly [number, number])[]): Field {
  const out = new Float64Array(size * size);
  for (const [cells, amplitude] of octaves) {
    const across = cells + 2;
    const heights = Float64Array.from({ length: across * across }, () => random.normal());
    const cell = Int32Array.from({ length: size }, (_, i) => Math.floor((i * cells) / size));
    const blend = Float64Array.from({ length: size }, (_, i) => smoothstep((i * cells) / size - cell[i]!));
    for (let y = 0, i = 0; y < size; y++) {
      for (let x = 0; x < size; x++, i++) {
        const corner = cell[y]! * across + cell[x]!;
        const top = mix(heights[corner]!, heights[corner + 1]!, blend[x]!);
        const bottom = mix(heights[corner + across]!, heights[corner + across + 1]!, blend[x]!);
        out[i]! += amplitude * mix(top, bottom, blend[y]!);
      }
    }
  }
  return out;
}

export interface Ellipse {
  readonly cx: number;
  readonly cy: number;
  /** Half axes. */
  readonly a: number;
  readonly b: number;
  /** Turn, in radians. */
  readonly turn?: number;
}

/** 1 inside, 0 outside, with a border about 0.01 wide. */
export function ellipse(size: number, { cx, cy, a, b, turn = 0 }: Ellipse): Field {
  const [cos, sin] = [Math.cos(turn), Math.sin(turn)];
  const steep = Math.min(a, b) / 0.01;
  return field(size, (x, y) => {
    const u = ((x - cx) * cos + (y - cy) * sin) / a;
    const v = ((y - cy) * cos - (x - cx) * sin) / b;
    return clamp((1 - Math.sqrt(u * u + v * v)) * steep + 0.5);
  });
}

/** A disc of radius r whose outline wobbles with four random harmonics; 1 inside, 0 outside. */
export function blob(random: Random, size: number, cx: number, cy: number, r: number, wobble = 0.35): Field {
  const waves = [2, 3, 4, 5].map((k) => ({
    k,
    amplitude: (wobble / k) * random.normal(),
    phase: random.uniform(0, 2 * Math.PI),
  }));
  return field(size, (x, y) => {
    const [dx, dy] = [x - cx, y - cy];
    const angle = Math.atan2(dy, dx);
    let radius = r;
    for (const { k, amplitude, phase } of waves) radius *= 1 + amplitude * Math.cos(k * angle + phase);
    return clamp((radius - Math.sqrt(dx * dx + dy * dy)) / 0.012 + 0.5);
  });
}

export function clamp(v: number, low = 0, high = 1): number {
  return Math.min(Math.max(v, low), high);
}

function mix(a: number, b: number, t: number): number {
  return a * (1 - t) + b * t;
}

function smoothstep(t: number): number {
  return t * t * (3 - 2 * t);
}
