/** All scores of a run on one line: where an image stands among the others, at a glance. */
import type { ReportItem } from './html';

/** Columns that scores are binned into, and the stack height at which dots start to pile up on the top edge. */
const COLUMNS = 110;
const TOP = 7;
const STEP = 9;
const BASE = 56;

/** A dot plot, or nothing for fewer than two scores. Positions are in per cent, so that dots stay round at any width. */
export function scorePlot(items: readonly ReportItem[]): string {
  const scored = items.flatMap(({ score, error }, i) =>
    error === undefined && score !== undefined && Number.isFinite(score) ? [{ score, i }] : [],
  );
  if (scored.length < 2) return '';
  const values = scored.map(({ score }) => score);
  const low = values.reduce((a, b) => Math.min(a, b));
  const high = values.reduce((a, b) => Math.max(a, b));
  const stacked = new Map<number, number>();
  const dots = scored.map(({ score, i }) => {
    const column = Math.round((COLUMNS * (score - low)) / (high - low || 1));
    const level = stacked.get(column) ?? 0;
    stacked.set(column, level + 1);
    const x = (2 + (96 * column) / COLUMNS).toFixed(2);
    const y = Math.max(TOP, BASE - 7 - level * STEP);
    return `<circle cx="${x}%" cy="${y}" r="4.5" data-row="${i}"><title>${score.toFixed(4)}</title></circle>`;
  });
  return `<svg class="plot" height="${BASE + 1}" role="img" aria-label="Scores from ${low.toFixed(4)} to ${high.toFixed(4)}">
<line x1="0" x2="100%" y1="${BASE}" y2="${BASE}"/>${dots.join('')}</svg>
<p class="ends"><span>${low.toFixed(3)}</span><span>${high.toFixed(3)}</span></p>`;
}
