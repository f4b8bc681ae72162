/** ROC and precision-recall curves, of images and of pixels. */
import type { EvaluationRecord } from '../../evaluation/record';
import type { Curve } from '../../metrics/metrics';
import { type Frame, frame, unit } from './axes';
import { fraction, percent } from './format';
import type { Outcomes } from './outcome';

interface Line {
  readonly name: 'Images' | 'Pixels';
  readonly curve: Curve;
  readonly area: number;
}

export function rocPanel({ image, pixel }: EvaluationRecord, found: Outcomes): string {
  const lines: Line[] = [{ name: 'Images', curve: image.roc, area: image.auroc.value }];
  if (pixel) lines.push({ name: 'Pixels', curve: pixel.roc, area: pixel.auroc.value });
  const axes = frame(
    unit('False positive rate (1 \u2212 specificity)'),
    unit('True positive rate (sensitivity)'),
  );
  const { sensitivity, falseAlarms } = rates(found);
  return panel(
    'ROC curve',
    axes,
    lines,
    'AUROC',
    `<path class="chance" d="M${axes.x(0)} ${axes.y(0)}L${axes.x(1)} ${axes.y(1)}"/>`,
    (curve) =>
      curve.x.map((value, i) => `${i === 0 ? 'M' : 'L'}${axes.x(value)} ${axes.y(curve.y[i]!)}`).join(''),
    dot(axes, falseAlarms, sensitivity),
    'Dotted: guessing.',
  );
}

export function prPanel({ image, pixel, images }: EvaluationRecord, found: Outcomes): string {
  const lines: Line[] = [{ name: 'Images', curve: image.pr, area: image.ap.value }];
  if (pixel) lines.push({ name: 'Pixels', curve: pixel.pr, area: pixel.ap.value });
  const axes = frame(unit('Recall (sensitivity)'), unit('Precision'));
  const { sensitivity, precision } = rates(found);
  const prevalence = images.filter(({ abnormal }) => abnormal).length / images.length;
  return panel(
    'Precision and recall',
    axes,
    lines,
    'AP',
    Number.isFinite(prevalence)
      ? `<path class="chance" d="M${axes.x(0)} ${axes.y(prevalence)}H${axes.x(1)}"/>`
      : '',
    // Steps, as average precision sums them: up to a recall, precision is that of its threshold.
    (curve) =>
      curve.x
        .map((value, i) =>
          i === 0 ? `M${axes.x(value)} ${axes.y(curve.y[0]!)}` : `V${axes.y(curve.y[i]!)}H${axes.x(value)}`,
        )
        .join(''),
    dot(axes, sensitivity, precision),
    `Dotted: guessing; ${percent(prevalence)} of the images are abnormal.`,
  );
}

/** At the images' F1-max threshold; NaN without one. */
function rates(found: Outcomes) {
  const [tp, fp, tn, fn] = [
    found['true positive'].length,
    found['false positive'].length,
    found['true negative'].length,
    found['false negative'].length,
  ];
  return { sensitivity: tp / (tp + fn), falseAlarms: fp / (fp + tn), precision: tp / (tp + fp) };
}

function dot(axes: Frame, x: number, y: number): string {
  return Number.isFinite(x) && Number.isFinite(y)
    ? `<circle class="point" cx="${axes.x(x)}" cy="${axes.y(y)}" r="4.5"/>`
    : '';
}

function panel(
  title: string,
  axes: Frame,
  lines: readonly Line[],
  measure: string,
  guess: string,
  trace: (curve: Curve) => string,
  point: string,
  note: string,
): string {
  const drawn = lines.filter(({ curve }) => curve.x.length > 0);
  const paths = [...drawn]
    .reverse()
    .map(({ name, curve }) => `<path class="curve ${name.toLowerCase()}" d="${trace(curve)}"/>`)
    .join('');
  const keys = lines.map(({ name, area }) => {
    const sample = `<svg class="sample" viewBox="0 0 28 8" aria-hidden="true"><path class="curve ${name.toLowerCase()}" d="M0 4H28"/></svg>`;
    return `<li>${sample}${name}, ${measure} <b>${fraction(area)}</b></li>`;
  });
  if (point) {
    keys.push(
      '<li><svg class="sample" viewBox="0 0 28 10" aria-hidden="true"><circle class="point" cx="14" cy="5" r="4.5"/></svg>F1-max threshold, images</li>',
    );
  }
  const label = `${title}: ${lines.map(({ name, area }) => `${name}, ${measure} ${fraction(area)}`).join('; ')}`;
  return `<section class="panel"><h3>${title}</h3>
${axes.draw(label, drawn.length > 0 ? guess + paths + point : '')}
<ul class="keys">${keys.join('')}</ul>
<p class="note">${drawn.length > 0 ? note : 'No curve: one of the classes is missing.'}</p></section>`;
}
