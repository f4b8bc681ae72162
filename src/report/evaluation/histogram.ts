/** How scores are distributed in each class: abnormal images upwards, normal ones downwards, on one axis of scores. */
import type { EvaluationRecord } from '../../evaluation/record';
import { plural } from '../page';
import { frame, round, roundTicks } from './axes';
import { score } from './format';

const BINS = 30;

export function histogramPanel({ images, image }: EvaluationRecord): string {
  const valid = images.filter((entry) => Number.isFinite(entry.score));
  const lowest = valid.reduce((a, { score }) => Math.min(a, score), Number.POSITIVE_INFINITY);
  const highest = valid.reduce((a, { score }) => Math.max(a, score), Number.NEGATIVE_INFINITY);
  if (valid.length === 0) {
    return '<section class="panel"><h3>Scores by class</h3><p class="note">No image has a valid score.</p></section>';
  }
  // One score for all is drawn in the middle.
  const spare = highest > lowest ? 0 : Math.max(Math.abs(lowest) * 0.1, 1e-6);
  const [low, high] = [lowest - spare, highest + spare];
  const share = (abnormal: boolean) => {
    const scores = valid.filter((entry) => entry.abnormal === abnormal);
    const bins = new Float64Array(BINS);
    for (const entry of scores) {
      const bin = Math.min(Math.floor((BINS * (entry.score - low)) / (high - low)), BINS - 1);
      bins[bin]! += 100 / scores.length;
    }
    return { bins, count: scores.length };
  };
  const above = share(true);
  const below = share(false);
  const most = Math.max(...above.bins, ...below.bins);
  const up = roundTicks(0, most, 3);
  // The next round number is the end of the axis, so that the highest bar has air.
  const top = (up.at(-1)! < most ? up.length : up.length - 1) * (up[1] ?? most);
  const ticks = [...up, top].filter((tick, i, all) => all.indexOf(tick) === i);
  const digits = ticks.every((tick) => Number.isInteger(round(tick))) ? 0 : 1;
  const axes = frame(
    {
      label: 'Image score',
      low,
      high,
      ticks: roundTicks(low, high, 5),
      write: (value) => String(Number(value.toPrecision(3))),
    },
    {
      label: 'Share of the class, %',
      low: -top,
      high: top,
      ticks: [...ticks.filter((tick) => tick > 0).map((tick) => -tick), ...ticks],
      write: (value) => Math.abs(value).toFixed(digits),
    },
  );
  const bars = (bins: Float64Array, sign: 1 | -1) =>
    Array.from(bins, (height, bin) => {
      if (height === 0) return '';
      const [from, to] = [bin, bin + 1].map((edge) => axes.x(low + ((high - low) * edge) / BINS));
      return `M${from! + 0.5} ${axes.y(0)}V${axes.y(sign * height)}H${to! - 0.5}V${axes.y(0)}Z`;
    }).join('');
  const { threshold } = image.f1max;
  const line = Number.isFinite(threshold)
    ? `<path class="threshold" d="M${axes.x(threshold)} ${axes.y(top)}V${axes.y(-top)}"/>`
    : '';
  // In the corners that are empty when a method works.
  const words = `<text class="class abnormal" x="${axes.x(low) + 8}" y="${axes.y(top) + 18}">abnormal</text>
<text class="class normal" x="${axes.x(high) - 8}" y="${axes.y(-top) - 10}" text-anchor="end">normal</text>`;
  const keys = [
    `<li><i class="dot abnormal"></i>${plural(above.count, 'abnormal image')}, upwards</li>`,
    `<li><i class="dot normal"></i>${plural(below.count, 'normal image')}, downwards</li>`,
  ];
  if (line) {
    keys.push(
      `<li><svg class="sample" viewBox="0 0 28 10" aria-hidden="true"><path class="threshold" d="M14 0V10"/></svg>F1-max threshold, <b>${score(threshold)}</b></li>`,
    );
  }
  const label = `Histogram of scores from ${score(lowest)} to ${score(highest)}, ${above.count} abnormal and ${below.count} normal images`;
  return `<section class="panel"><h3>Scores by class</h3>
${axes.draw(
  label,
  `<path class="bars abnormal" d="${bars(above.bins, 1)}"/><path class="bars normal" d="${bars(below.bins, -1)}"/>
<path class="zero" d="M${axes.x(low)} ${axes.y(0)}H${axes.x(high)}"/>${line}${words}`,
)}
<ul class="keys">${keys.join('')}</ul></section>`;
}
