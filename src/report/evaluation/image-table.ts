/** All images with their scores: sorted and filtered by the page's script, complete without it. */
import type { EvaluatedImage, EvaluationRecord } from '../../evaluation/record';
import { text } from '../page';
import { imageName, score } from './format';
import { outcomeOf } from './outcome';

interface Column {
  readonly key: string;
  readonly title: string;
  readonly number: boolean;
  readonly value?: (image: EvaluatedImage) => number | undefined;
}

export function* imageTable(record: EvaluationRecord, pictured: ReadonlySet<number>): Iterable<string> {
  const { images, image } = record;
  const { threshold } = image.f1max;
  const parts: Column[] = [
    { key: 'part', title: 'Zero-shot', number: true, value: ({ parts }) => parts.zeroShot },
    { key: 'part', title: 'Few-shot', number: true, value: ({ parts }) => parts.fewShot },
    { key: 'part', title: 'Map max', number: true, value: ({ parts }) => parts.mapMax },
  ];
  const shown = parts.filter((part) => images.some((entry) => part.value!(entry) !== undefined));
  const columns: Column[] = [
    { key: 'name', title: 'Image', number: false },
    { key: 'truth', title: 'Truth', number: false },
    { key: 'outcome', title: 'Outcome', number: false },
    { key: 'score', title: 'Score', number: true },
    ...shown,
    { key: 'pictured', title: 'Picture', number: false },
  ];
  yield `<div class="scroll" tabindex="0" role="region" aria-labelledby="images"><table id="table"><thead><tr>${columns
    .map(
      ({ key, title, number }) =>
        `<th scope="col" class="${key}${number ? ' number' : ''}"${key === 'score' ? ' aria-sort="descending"' : ''}><button type="button">${title}</button></th>`,
    )
    .join('')}</tr></thead>\n<tbody>\n`;
  const place = placing(images);
  const bar = ({ score }: EvaluatedImage, truth: string) =>
    Number.isFinite(score) ? `<i class="bar ${truth} b${place(score)}"></i>` : '';
  const order = images.map((_, i) => i);
  // Highest first; what has no valid score comes last.
  const rank = (i: number) => (Number.isNaN(images[i]!.score) ? Number.NEGATIVE_INFINITY : images[i]!.score);
  order.sort((a, b) => (rank(a) === rank(b) ? a - b : rank(b) - rank(a)));
  for (const i of order) {
    const entry = images[i]!;
    const truth = entry.abnormal ? 'abnormal' : 'normal';
    const outcome = outcomeOf(entry, threshold);
    const side = outcome === undefined ? '' : outcome.startsWith('true') ? 'right' : 'wrong';
    const cells = [
      `<th scope="row" class="name" data-sort="${text(entry.name)}"><a href="#image-${i}">${imageName(entry.name)}</a></th>`,
      `<td class="truth"><i class="dot ${truth}"></i><span>${truth}</span></td>`,
      `<td class="outcome ${side}">${outcome ?? '&ndash;'}</td>`,
      `<td class="score number" data-sort="${sortable(entry.score)}">${score(entry.score)}${bar(entry, truth)}</td>`,
      ...shown.map(({ value }) => {
        const part = value!(entry);
        return `<td class="part number" data-sort="${sortable(part)}">${part === undefined ? '&ndash;' : score(part)}</td>`;
      }),
      `<td class="pictured">${pictured.has(i) ? 'yes' : 'no'}</td>`,
    ];
    yield `<tr id="row-${i}" data-truth="${truth}" data-side="${side}">${cells.join('')}</tr>\n`;
  }
  yield '</tbody></table></div>\n';
}

export const filters = `<form class="filters" id="filters" role="search">
<label class="search">Name <input type="search" id="filter-name" autocomplete="off" spellcheck="false" placeholder="part of a name"></label>
${choice('truth', 'Class', ['all', 'abnormal', 'normal'])}
${choice('side', 'Outcome', ['all', 'wrong', 'right'])}
<output id="shown" aria-live="polite"></output>
</form>`;

function choice(name: string, legend: string, values: readonly string[]): string {
  const options = values.map(
    (value, i) =>
      `<label><input type="radio" name="${name}" value="${i === 0 ? '' : value}"${i === 0 ? ' checked' : ''}><span>${value}</span></label>`,
  );
  return `<fieldset class="choice"><legend>${legend}</legend><div>${options.join('')}</div></fieldset>`;
}

function sortable(value: number | undefined): string {
  return value === undefined || Number.isNaN(value) ? '' : String(value);
}

/** Where a value stands between the lowest score and the highest, in whole per cent; the lowest has a bar too, a short one. */
function placing(images: readonly EvaluatedImage[]): (value: number) => number {
  const finite = images.map(({ score }) => score).filter(Number.isFinite);
  const low = finite.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
  const high = finite.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  return (value) => Math.round(3 + (97 * (value - low)) / (high - low || 1));
}

/** Bars are a background whose length is a class: one element a row, as a drawing a row makes large tables slow. */
export function barStyles({ images, image }: EvaluationRecord): string {
  const { threshold } = image.f1max;
  const tick = Number.isFinite(threshold) ? placing(images)(threshold) : 0;
  const lengths = Array.from({ length: 101 }, (_, n) => `.b${n}{--to:${n}%}`);
  return `\n.bar{--tick:${tick}%}${lengths.join('')}`;
}
