/** The scores of a volume along its slices: where something abnormal begins and ends. */
import { text } from './page';

export interface SliceCurve {
  /** What the reader knows the volume by; shown as text. */
  readonly name: string;
  /** In the order of slices. */
  readonly points: readonly SlicePoint[];
}

export interface SlicePoint {
  readonly slice: number;
  readonly score: number;
  /** Index of the slice's item in the report, where it has one. */
  readonly item?: number;
}

const WIDTH = 640;
const HEIGHT = 180;
const LEFT = 52;
const RIGHT = 12;
const TOP = 12;
const BOTTOM = 30;

/** A drawing for each volume with two scores or more; the highest is marked and links to its picture. */
export function sliceCurves(curves: readonly SliceCurve[]): string {
  const drawn = curves.map(curve).filter((svg) => svg !== '');
  if (drawn.length === 0) return '';
  return `<section aria-labelledby="slices"><h2 id="slices">Scores along the slices</h2>${drawn.join('\n')}</section>`;
}

function curve({ name, points }: SliceCurve): string {
  const valid = points.filter(({ score }) => Number.isFinite(score));
  if (valid.length < 2) return '';
  const scores = valid.map(({ score }) => score);
  const [low, high] = [scores.reduce((a, b) => Math.min(a, b)), scores.reduce((a, b) => Math.max(a, b))];
  const [first, last] = [valid[0]!.slice, valid[valid.length - 1]!.slice];
  const x = (slice: number) => LEFT + ((slice - first) / (last - first || 1)) * (WIDTH - LEFT - RIGHT);
  const y = (score: number) => TOP + (1 - (score - low) / (high - low || 1)) * (HEIGHT - TOP - BOTTOM);
  const place = (point: SlicePoint) => `${x(point.slice).toFixed(1)},${y(point.score).toFixed(1)}`;
  const worst = valid.reduce((a, b) => (b.score > a.score ? b : a));
  const dot = `<circle class="worst" cx="${x(worst.slice).toFixed(1)}" cy="${y(worst.score).toFixed(1)}" r="5"><title>slice ${worst.slice}: ${worst.score.toFixed(4)}</title></circle>`;
  const marked = worst.item === undefined ? dot : `<a href="#image-${worst.item}">${dot}</a>`;
  const bottom = HEIGHT - BOTTOM;
  return `<figure class="slices"><figcaption><b>${text(name)}</b> ${valid.length} slices, the highest score ${worst.score.toFixed(4)} at slice ${worst.slice}</figcaption>
<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="Scores of ${valid.length} slices, highest at slice ${worst.slice}">
<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${bottom}" y2="${bottom}"/><line x1="${LEFT}" x2="${LEFT}" y1="${TOP}" y2="${bottom}"/>
<text class="end" x="${LEFT - 6}" y="${TOP + 5}">${high.toFixed(3)}</text><text class="end" x="${LEFT - 6}" y="${bottom}">${low.toFixed(3)}</text>
<text x="${LEFT}" y="${HEIGHT - 8}">slice ${first}</text><text class="end" x="${WIDTH - RIGHT}" y="${HEIGHT - 8}">${last}</text>
<polyline points="${valid.map(place).join(' ')}"/>${marked}</svg></figure>`;
}
