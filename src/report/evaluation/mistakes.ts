/** What went wrong at the F1-max threshold: the counts, and the worst of each kind with their pictures. */
import type { EvaluationRecord } from '../../evaluation/record';
import { plural } from '../page';
import { imageName, score } from './format';
import type { Outcomes } from './outcome';

/** Counts of all four outcomes; says why where there are none. */
export function confusion({ image }: EvaluationRecord, found: Outcomes): string {
  const { threshold } = image.f1max;
  if (Number.isNaN(threshold)) {
    return '<p>No threshold can be chosen where one of the classes is missing, so nothing is right or wrong.</p>';
  }
  const cell = (outcome: keyof Outcomes, kind: string) =>
    `<td class="number ${kind}"><b>${found[outcome].length}</b> <span class="count">${outcome}</span></td>`;
  return `<p>Images with a score of at least <b>${score(threshold)}</b>, the F1-max threshold, are called abnormal.</p>
<table class="confusion"><thead><tr><td></td><th scope="col">Called abnormal</th><th scope="col">Called normal</th></tr></thead>
<tbody><tr><th scope="row">Abnormal</th>${cell('true positive', 'right')}${cell('false negative', 'wrong')}</tr>
<tr><th scope="row">Normal</th>${cell('false positive', 'wrong')}${cell('true negative', 'right')}</tr></tbody></table>`;
}

export interface Kind {
  readonly outcome: 'false negative' | 'false positive';
  readonly heading: string;
  readonly none: string;
}

export const kinds: readonly Kind[] = [
  {
    outcome: 'false negative',
    heading: 'Missed: abnormal, called normal',
    none: 'No abnormal image was missed.',
  },
  {
    outcome: 'false positive',
    heading: 'False alarms: normal, called abnormal',
    none: 'There was no false alarm.',
  },
];

/** What stands before the cards of one kind. */
export function kindStart({ heading, outcome, none }: Kind, all: number, shown: number): string {
  const count =
    all === 0
      ? ''
      : ` <span class="count">${shown < all ? `the worst ${shown} of ${plural(all, outcome)}` : plural(all, outcome)}</span>`;
  return `<h3 class="kind">${heading}${count}</h3>\n${all === 0 ? `<p class="note">${none}</p>` : '<div class="cards">'}`;
}

/** @param picture HTML of its layers, if there is any. */
export function mistakeCard(record: EvaluationRecord, index: number, picture: string | undefined): string {
  const image = record.images[index]!;
  const shown =
    picture === undefined
      ? '<p class="note">No picture of this image is in the file.</p>'
      : `<div class="panes" data-picture="${index}"><figure class="pane overlay">${picture}</figure></div>`;
  return `<article class="card">${shown}<p class="caption name"><a href="#image-${index}">${imageName(image.name)}</a> <span class="score">${score(image.score)}</span></p></article>\n`;
}
