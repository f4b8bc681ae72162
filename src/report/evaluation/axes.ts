/** A frame for drawings: axes with ticks, labels and a mapping from values to places. All panels have one size and so line up. */
import { text } from '../page';

const WIDTH = 360;
const HEIGHT = 348;
const BOX = { left: 48, top: 8, side: 296 } as const;

export interface Axis {
  readonly label: string;
  readonly low: number;
  readonly high: number;
  readonly ticks: readonly number[];
  /** How a tick is written. */
  readonly write: (value: number) => string;
}

export interface Frame {
  readonly x: (value: number) => number;
  readonly y: (value: number) => number;
  /** @param label what the drawing shows, for those who do not see it. */
  readonly draw: (label: string, content: string) => string;
}

export function frame(across: Axis, up: Axis): Frame {
  const { left, top, side } = BOX;
  const bottom = top + side;
  const place = ({ low, high }: Axis, value: number) => (side * (value - low)) / (high - low || 1);
  const x = (value: number) => round(left + place(across, value));
  const y = (value: number) => round(bottom - place(up, value));
  const grid = [
    ...across.ticks.map((tick) => `M${x(tick)} ${top}V${bottom}`),
    ...up.ticks.map((tick) => `M${left} ${y(tick)}H${left + side}`),
  ].join('');
  const labels = [
    ...across.ticks.map(
      (tick) => `<text x="${x(tick)}" y="${bottom + 16}" text-anchor="middle">${across.write(tick)}</text>`,
    ),
    ...up.ticks.map(
      (tick) => `<text x="${left - 6}" y="${y(tick) + 4}" text-anchor="end">${up.write(tick)}</text>`,
    ),
    `<text class="axis" x="${left + side / 2}" y="${HEIGHT - 6}" text-anchor="middle">${text(across.label)}</text>`,
    `<text class="axis" transform="translate(12 ${top + side / 2}) rotate(-90)" text-anchor="middle">${text(up.label)}</text>`,
  ].join('');
  return {
    x,
    y,
    draw: (label, content) =>
      `<svg class="drawing" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${text(label)}"><path class="grid" d="${grid}"/>${labels}${content}</svg>`,
  };
}

/** An axis of fractions, 0 to 1. */
export function unit(label: string): Axis {
  return { label, low: 0, high: 1, ticks: [0, 0.2, 0.4, 0.6, 0.8, 1], write: (value) => value.toFixed(1) };
}

/** About `count` round numbers between two values. */
export function roundTicks(low: number, high: number, count: number): number[] {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5].find((factor) => factor * power >= rough * 0.999) ?? 10);
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step);
}

export function round(value: number): number {
  return Math.round(value * 100) / 100;
}
