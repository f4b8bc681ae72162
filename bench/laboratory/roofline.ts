/**
 * A roofline plot (Williams, Waterman, Patterson 2009): arithmetic intensity against rate, both logarithmic, below the measured
 * ceilings. Intensity is the floor's: operations over bytes when each operand moves once.
 */
import type { ReadRow } from '../read-record';
import type { Ceilings } from '../record';
import { formatNumber, formatShare } from '../table';
import { el, type Markup } from './markup';

/** What the plot needs of a row; records from elsewhere may lack any of it. */
export type RooflineRow = Pick<ReadRow, 'engine' | 'variant' | 'dtype' | 'floor' | 'gflops' | 'share'>;
type Plotted = RooflineRow & Required<Pick<ReadRow, 'floor' | 'gflops'>>;

export interface Roof {
  readonly name: string;
  readonly gflops: number;
}

/** Every measured rate of arithmetic, highest first: `f32Gflops` and whatever else is called like it. */
export function roofsOf(ceilings: Partial<Ceilings>): Roof[] {
  return Object.entries(ceilings)
    .flatMap(([key, gflops]) => {
      const name = /^(\w+)Gflops$/.exec(key)?.[1];
      return name && typeof gflops === 'number' && gflops > 0 ? [{ name, gflops }] : [];
    })
    .sort((a, b) => b.gflops - a.gflops);
}

/** A row that has a place in the plot: some arithmetic, some bytes, a time. */
export function hasPlace(row: RooflineRow): row is Plotted {
  const { flops, bytes } = row.floor ?? {};
  return [flops, bytes, row.gflops].every(
    (value) => typeof value === 'number' && value > 0 && value < Infinity,
  );
}

const WIDTH = 560;
const HEIGHT = 430;
const BOX = { left: 58, right: 544, top: 40, bottom: 384 } as const;
/** Least distance of two numbers beside points. */
const LINE = 15;
/** More points than this carry no numbers. */
const NUMBERED = 30;

/** A logarithmic axis over whole decades or, where few, halves of them. */
class Axis {
  readonly low: number;
  readonly high: number;

  constructor(
    values: readonly number[],
    private readonly from: number,
    private readonly to: number,
  ) {
    this.low = Math.floor(2 * Math.log10(Math.min(...values))) / 2;
    this.high = Math.max(this.low + 1, Math.ceil(2 * Math.log10(Math.max(...values))) / 2);
  }

  at(value: number): number {
    const share = (Math.log10(value) - this.low) / (this.high - this.low);
    return Math.round(10 * (this.from + share * (this.to - this.from))) / 10;
  }

  /** Powers of ten, and of two between them where the axis is short. */
  ticks(): number[] {
    const powers: number[] = [];
    for (let p = Math.ceil(this.low); p <= this.high; p++) powers.push(10 ** p);
    if (powers.length >= 3) return powers;
    const all: number[] = [];
    for (let p = Math.floor(this.low); p <= this.high; p++) all.push(10 ** p, 2 * 10 ** p, 5 * 10 ** p);
    return all.filter(
      (value) => Math.log10(value) >= this.low - 1e-9 && Math.log10(value) <= this.high + 1e-9,
    );
  }
}

/** The drawing; row i carries the number i + 1, as in a table beneath. Undefined when nothing has a place in it. */
export function roofline(rows: readonly RooflineRow[], ceilings: Partial<Ceilings>): Markup | undefined {
  const points = rows.flatMap((row, i) => (hasPlace(row) ? [{ row, number: i + 1 }] : []));
  const roofs = roofsOf(ceilings);
  const { copyGbps = 0 } = ceilings;
  if (points.length === 0 || roofs.length === 0 || !(copyGbps > 0)) return undefined;
  const intensities = points.map(({ row }) => row.floor.flops / row.floor.bytes);
  const ridges = roofs.map(({ gflops }) => gflops / copyGbps);
  const x = new Axis(
    [
      ...intensities.map((i) => i / 1.5),
      ...ridges.map((r) => r / 2),
      ...intensities.map((i) => i * 2),
      ...ridges.map((r) => r * 4),
    ],
    BOX.left,
    BOX.right,
  );
  const y = new Axis(
    [...points.map(({ row }) => row.gflops / 1.3), ...roofs.map(({ gflops }) => gflops * 1.4)],
    BOX.bottom,
    BOX.top,
  );
  const dots = points.map(({ row, number }, i) => ({
    row,
    number,
    at: [x.at(intensities[i]!), y.at(row.gflops)] as const,
  }));
  const label = `Roofline: ${points.length} points below ${roofs.map(({ name, gflops }) => `${name} ${formatNumber(gflops)} GFLOP/s`).join(', ')} and a copy rate of ${formatNumber(copyGbps)} GB/s`;
  return el(
    'svg',
    { class: 'roofline', viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'group', 'aria-label': label },
    ...frame(x, y),
    ...roofLines(roofs, copyGbps, x, y),
    ...marks(dots),
  );
}

function frame(x: Axis, y: Axis): Markup[] {
  const { left, right, top, bottom } = BOX;
  const grid = [
    ...x.ticks().map((tick) => `M${x.at(tick)} ${top}V${bottom}`),
    ...y.ticks().map((tick) => `M${left} ${y.at(tick)}H${right}`),
  ].join('');
  return [
    el('path', { class: 'grid', d: grid }),
    ...x
      .ticks()
      .map((tick) => el('text', { x: x.at(tick), y: bottom + 17, 'text-anchor': 'middle' }, String(tick))),
    ...y
      .ticks()
      .map((tick) => el('text', { x: left - 6, y: y.at(tick) + 4, 'text-anchor': 'end' }, String(tick))),
    el(
      'text',
      { class: 'axis', x: (left + right) / 2, y: HEIGHT - 8, 'text-anchor': 'middle' },
      'FLOP a byte that must move',
    ),
    el(
      'text',
      {
        class: 'axis',
        transform: `translate(13 ${(top + bottom) / 2}) rotate(-90)`,
        'text-anchor': 'middle',
      },
      'GFLOP/s',
    ),
  ];
}

/** One slope, and a level from it for each rate. */
function roofLines(roofs: readonly Roof[], copyGbps: number, x: Axis, y: Axis): Markup[] {
  const [lowX, lowY] = [10 ** x.low, 10 ** y.low];
  const start = Math.max(lowX, lowY / copyGbps);
  const top = roofs[0]!;
  const from = [x.at(start), y.at(start * copyGbps)] as const;
  const to = [x.at(top.gflops / copyGbps), y.at(top.gflops)] as const;
  const turn = (Math.atan2(to[1] - from[1], to[0] - from[0]) * 180) / Math.PI;
  const middle = [(from[0] + to[0]) / 2, (from[1] + to[1]) / 2] as const;
  let above = Number.NEGATIVE_INFINITY;
  const levels = roofs.flatMap(({ name, gflops }) => {
    const at = y.at(gflops);
    // Levels that lie close have their words on either side.
    const words = at - above < LINE + 4 ? at + 15 : at - 6;
    above = words;
    return [
      el('path', { class: `roof ${name}`, d: `M${x.at(gflops / copyGbps)} ${at}H${BOX.right}` }),
      el(
        'text',
        { class: 'rate', x: BOX.right - 4, y: words, 'text-anchor': 'end' },
        `${name} ${formatNumber(gflops)} GFLOP/s`,
      ),
    ];
  });
  return [
    el('path', { class: 'roof copy', d: `M${from[0]} ${from[1]}L${to[0]} ${to[1]}` }),
    el(
      'text',
      {
        class: 'rate',
        transform: `translate(${middle[0]} ${middle[1]}) rotate(${turn.toFixed(1)})`,
        y: -6,
        'text-anchor': 'middle',
      },
      `copy ${formatNumber(copyGbps)} GB/s`,
    ),
    ...levels,
  ];
}

interface Dot {
  readonly row: Plotted;
  readonly number: number;
  readonly at: readonly [x: number, y: number];
}

/** Points; their numbers stand to the right, moved up or down until they do not overlap. */
function marks(dots: readonly Dot[]): Markup[] {
  const placed: [x: number, y: number][] = [];
  const numbered = dots.length <= NUMBERED;
  return [...dots]
    .sort((a, b) => a.at[1] - b.at[1])
    .map(({ row, number, at: [cx, cy] }) => {
      const words = pointInWords(row, number);
      let line = cy;
      for (const [px, py] of placed) if (Math.abs(px - cx) < 34 && line < py + LINE) line = py + LINE;
      placed.push([cx, line]);
      const side = cx + 40 > BOX.right ? -1 : 1;
      const tag = numbered
        ? [
            el('path', {
              class: 'leader',
              d: `M${cx} ${cy}L${cx + side * 14} ${Math.round(10 * line) / 10}`,
            }),
            el(
              'text',
              {
                class: 'mark',
                x: cx + side * 17,
                y: Math.round(10 * (line + 4)) / 10,
                'text-anchor': side > 0 ? 'start' : 'end',
              },
              String(number),
            ),
          ]
        : [];
      return el(
        'g',
        { class: `point ${row.dtype}`, tabindex: 0, role: 'img', 'aria-label': words },
        el('title', {}, words),
        ...tag,
        el('circle', { cx, cy, r: 5 }),
        ...tips(row, number),
      );
    });
}

/** The point's words in two lines above the plot, so that they fit a phone. */
function tips(row: Plotted, number: number): Markup[] {
  const [first, second] = pointInWords(row, number).split(/(?<=GFLOP\/s), /);
  return [first, second].map((line, i) =>
    el('text', { class: 'tip', x: BOX.left, y: 12 + 18 * i }, line ?? ''),
  );
}

/** "3 tiled f32: 12.3 GFLOP/s, 41% of the ceilings, 14.7 FLOP a byte". */
export function pointInWords(
  { engine, variant, dtype, gflops, share, floor }: Plotted,
  number: number,
): string {
  const name = [...(engine === 'mla-lp' ? [] : [engine]), variant ?? ''].join(' ').trim();
  const intensity = formatNumber(floor.flops / floor.bytes);
  const part = share === undefined ? '' : `, ${formatShare(share)} of the ceilings`;
  return `${number} ${name} ${dtype}: ${formatNumber(gflops)} GFLOP/s${part}, ${intensity} FLOP a byte`;
}

export const rooflineStyles = `
.roofline{display:block;width:100%;max-width:46rem;height:auto;margin:0 auto;font-size:13px;font-variant-numeric:tabular-nums;overflow:visible}
.roofline text{fill:var(--soft)}
.roofline .axis,.roofline .tip{fill:var(--ink)}
.roofline :is(.grid,.roof,.leader){fill:none}
.roofline .grid{stroke:var(--line)}
.roofline .roof{stroke:var(--ink);stroke-width:2}
.roofline .roof.copy{stroke-dasharray:7 4}
.roofline .leader{stroke:var(--soft)}
.roofline .point{outline:0;cursor:default}
.roofline circle{fill:var(--normal);stroke:var(--panel);stroke-width:1.5}
.roofline .f16 circle{fill:var(--abnormal)}
.roofline .mark{fill:var(--ink);font-weight:600}
.roofline .tip{visibility:hidden}
.roofline .point:is(:hover,:focus) .tip{visibility:visible}
.roofline .point:is(:hover,:focus) circle{stroke:var(--ink);stroke-width:2.5}
.roofline:has(.point:hover) .point:focus:not(:hover) .tip{visibility:hidden}
@media(max-width:40rem){.roofline{font-size:17px}}
`;
