/** Tables of metrics, each value with its interval in digits and drawn. */
import type { EvaluationRecord } from '../../evaluation/record';
import type { Estimate, OperatingPoint, PixelMetrics, RankingMetrics } from '../../metrics/metrics';
import { fraction, interval, score, UNDEFINED } from './format';

export function numbers({ image, pixel }: EvaluationRecord): string {
  return `<div class="columns">
${card('Image level', 'Is something abnormal in this image?', image)}
${pixel ? card('Pixel level', 'Where is it?', pixel, pixel) : noMasks}
</div>`;
}

const noMasks = `<section class="panel quiet"><h3>Pixel level</h3><p>This data set has no ground-truth masks: there is nothing
to compare maps with, and no pixel metric.</p></section>`;

function card(title: string, question: string, metrics: RankingMetrics, pixel?: PixelMetrics): string {
  const { auroc, ap, f1max, sensitivityAt } = metrics;
  const rows = [
    row('AUROC', auroc, 0.5),
    row('Average precision', ap),
    row('F1-max', f1max),
    pixel ? row('AUPRO, up to 30 % FPR', pixel.aupro) : '',
  ];
  const undefinedOnes = [auroc, ap, f1max, ...(pixel ? [pixel.aupro] : [])].some(
    ({ value }) => !Number.isFinite(value),
  );
  const points = sensitivityAt.map(
    (point) =>
      `<tr><th scope="row">${fraction(point.wanted).replace(/0$/, '')}</th><td class="number">${fraction(point.specificity)}</td><td class="number">${value(point.sensitivity)}</td><td class="number">${pointThreshold(
        point,
      )}</td></tr>`,
  );
  return `<section class="panel"><h3>${title} <span class="count">${question}</span></h3>
<table class="metrics"><thead><tr><th scope="col">Metric</th><th scope="col" class="number">Value</th>
<th scope="col" class="number">95 % interval</th><th scope="col" class="drawn"><span class="unseen">Drawn from 0 to 1</span></th></tr></thead>
<tbody>${rows.join('\n')}
<tr><th scope="row">F1-max threshold</th><td class="number">${
    Number.isNaN(f1max.threshold) ? UNDEFINED : score(f1max.threshold)
  }</td><td></td><td class="drawn"></td></tr></tbody></table>
${undefinedOnes ? '<p class="note">Undefined: one of the classes is missing, so there is nothing to rank. It is not zero.</p>' : ''}
${
  points.length > 0
    ? `<table class="metrics points"><thead><tr><th scope="col">Specificity at least</th><th scope="col" class="number">Reached</th>
<th scope="col" class="number">Sensitivity</th><th scope="col" class="number">Threshold</th></tr></thead><tbody>${points.join('\n')}</tbody></table>`
    : ''
}</section>`;
}

/** JSON has no infinity: a record out of a file has lost the threshold above all scores, at which nothing is found. */
function pointThreshold({ sensitivity, threshold }: OperatingPoint): string {
  if (Number.isNaN(sensitivity)) return UNDEFINED;
  return score(Number.isNaN(threshold) ? Number.POSITIVE_INFINITY : threshold);
}

function row(name: string, estimate: Estimate, chance?: number): string {
  return `<tr><th scope="row">${name}</th><td class="number">${value(estimate.value)}</td><td class="number">${interval(
    estimate,
  )}</td><td class="drawn">${drawn(estimate, chance)}</td></tr>`;
}

/** Emphasis is for numbers. */
function value(fractionOfOne: number): string {
  const written = fraction(fractionOfOne);
  return written === UNDEFINED ? written : `<b>${written}</b>`;
}

/** The interval on a line from 0 to 1, with a tick where guessing stands. */
function drawn({ value, low, high }: Estimate, chance?: number): string {
  if (!Number.isFinite(value)) return '';
  const x = (v: number) => (4 + 112 * v).toFixed(1);
  const tick = chance === undefined ? '' : `<path class="chance" d="M${x(chance)} 3V13"/>`;
  const whisker =
    Number.isFinite(low) && Number.isFinite(high)
      ? `<path class="whisker" d="M${x(low)} 8H${x(high)}"/>`
      : '';
  return `<svg class="interval" viewBox="0 0 120 16" aria-hidden="true"><path class="track" d="M4 8H116"/>${tick}${whisker}<circle cx="${x(
    value,
  )}" cy="8" r="3.5"/></svg>`;
}
