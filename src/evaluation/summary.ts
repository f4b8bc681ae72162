/** A record's forms: the object that `eval --json` prints, the text of results.json, and words for a terminal. */
import type { Estimate } from '../metrics/metrics';
import { OptionError } from '../runtime/errors';
import type { EvaluationRecord } from './record';

/** Numbers alone; null where a metric is undefined. */
export interface EvaluationSummary {
  readonly dataset: string;
  readonly n: number;
  readonly protocol: string;
  readonly image: Readonly<Record<'auroc' | 'ap' | 'f1max', number | null>>;
  readonly pixel?: Readonly<Record<'auroc' | 'ap' | 'f1max' | 'aupro', number | null>>;
}

function plain({ value }: Estimate): number | null {
  return Number.isFinite(value) ? value : null;
}

export function summaryOf({ dataset, n, protocol, image, pixel }: EvaluationRecord): EvaluationSummary {
  const ranking = (m: typeof image) => ({ auroc: plain(m.auroc), ap: plain(m.ap), f1max: plain(m.f1max) });
  return {
    dataset,
    n,
    protocol,
    image: ranking(image),
    ...(pixel && { pixel: { ...ranking(pixel), aupro: plain(pixel.aupro) } }),
  };
}

/** JSON; null stands for numbers that JSON lacks: undefined metrics, the threshold above all scores. */
export function recordText(record: EvaluationRecord): string {
  return `${JSON.stringify(record, undefined, 1)}\n`;
}

function isMetrics(metrics: unknown): boolean {
  return typeof (metrics as Partial<EvaluationRecord['image']> | undefined)?.auroc?.value === 'number';
}

/** @throws OptionError when the text is no record. @param label what messages call it. */
export function parseRecord(text: string, label: string): EvaluationRecord {
  const revive = (_key: string, value: unknown) => (value === null ? Number.NaN : value);
  try {
    const record = JSON.parse(text, revive) as EvaluationRecord;
    const whole = Array.isArray(record?.images) && Array.isArray(record.failures) && isMetrics(record.image);
    const pixels = record?.pixel === undefined || isMetrics(record.pixel);
    if (record?.format === 'mla-lp evaluation 1' && whole && pixels) return record;
  } catch {
    // Said below.
  }
  throw new OptionError(`${label}: this is no result of mla-lp eval.`, 'Give a results.json that it wrote.');
}

/** "0.935 (0.912 to 0.951)", or why there is none. */
function describeEstimate({ value, low, high }: Estimate): string {
  if (Number.isNaN(value)) return 'undefined: one of the classes is missing';
  const interval = Number.isNaN(low) ? '' : ` (${low.toFixed(3)} to ${high.toFixed(3)})`;
  return `${value.toFixed(4)}${interval}`;
}

/** What a terminal shows: a line a metric. */
export function describeRecord(record: EvaluationRecord): string {
  const { dataset, protocol, method, n, images, image, pixel, failures, selection } = record;
  const abnormal = images.filter((i) => i.abnormal).length;
  const lines: [string, string][] = [
    ['image AUROC', describeEstimate(image.auroc)],
    ['image AP', describeEstimate(image.ap)],
    ['image F1-max', `${describeEstimate(image.f1max)} at ${image.f1max.threshold.toPrecision(5)}`],
  ];
  if (pixel) {
    lines.push(
      ['pixel AUROC', describeEstimate(pixel.auroc)],
      ['pixel AP', describeEstimate(pixel.ap)],
      ['pixel F1-max', `${describeEstimate(pixel.f1max)} at ${pixel.f1max.threshold.toPrecision(5)}`],
      ['AUPRO (30 % FPR)', describeEstimate(pixel.aupro)],
    );
  }
  const chosen =
    selection === 'best-on-test'
      ? '\nThe epoch was chosen on these very images: the numbers are optimistic.'
      : '';
  const left = failures.length > 0 ? `\n${failures.length} images could not be scored and are left out.` : '';
  return [
    `${dataset}: ${n - abnormal} normal and ${abnormal} abnormal images, method ${method}, ${protocol} protocol (95 % intervals)`,
    ...lines.map(([name, value]) => `  ${name.padEnd(17)} ${value}`),
  ]
    .join('\n')
    .concat(chosen, left);
}
