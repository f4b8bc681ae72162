/** One HTML file that shows an evaluation: what was measured, how sure it is, where it went wrong, and how to have it again. */
import type { EvaluationRecord } from '../../evaluation/record';
import { recordText } from '../../evaluation/summary';
import { OptionError } from '../../runtime/errors';
import { type ColormapName, defaultColormap } from '../colormap';
import {
  facts,
  fingerprint,
  minute,
  NOTICE,
  pageEnd,
  pageStart,
  plural,
  scaleStyles,
  TRAVELS,
  text,
} from '../page';
import { prPanel, rocPanel } from './curves';
import { histogramPanel } from './histogram';
import { barStyles, filters, imageTable } from './image-table';
import { confusion, kindStart, kinds, mistakeCard } from './mistakes';
import { numbers } from './numbers';
import { outcomes, pictureOrder } from './outcome';
import { type PictureSource, stack } from './pictures';
import { provenance } from './provenance';
import { script } from './script';
import { styles } from './styles';
import { viewer } from './viewer';
import { protocols, reading, selections } from './words';

export interface EvaluationPageOptions {
  /** The data set's name when left out. */
  readonly title?: string;
  /** Images with pictures at most; 200. The worst mistakes come first, then the other mistakes, then an even spread. */
  readonly maxPictures?: number;
  /** Size of all pictures in the file at most, in bytes; 30 million. A picture that no longer fits ends them. */
  readonly maxPictureBytes?: number;
  /** Of the heatmaps; for the legend. */
  readonly colormap?: ColormapName;
  /** Values of the lowest and the highest colour, where all heatmaps share them. */
  readonly range?: readonly [low: number, high: number];
}

/** Mistakes of each kind that are shown with pictures. */
const WORST = 6;

/**
 * The page, in pieces: no more than one picture is in memory at a time. Encode as UTF-8.
 * @throws OptionError when a bound is no number of at least 0. What `pictures` throws passes through.
 */
export async function* evaluationPage(
  record: EvaluationRecord,
  pictures: PictureSource,
  options: EvaluationPageOptions = {},
): AsyncIterable<string> {
  const { maxPictures = 200, maxPictureBytes = 30_000_000, colormap = defaultColormap, range } = options;
  for (const bound of [maxPictures, maxPictureBytes]) {
    if (!(bound >= 0)) throw new OptionError(`A report cannot have ${bound} pictures.`, 'Give 0 or more.');
  }
  const { dataset, method, preset, protocol, versions, images } = record;
  const version = versions['mla-lp'] ?? '';
  const shell = {
    title: `${options.title ?? dataset}: ${method}, ${protocol}`,
    version,
    styles: styles + scaleStyles(colormap) + barStyles(record),
    script,
  };
  const found = outcomes(record);
  const json = recordText(record);
  const gallery = new Gallery(record, pictures, maxPictures, maxPictureBytes);

  yield await pageStart(shell);
  yield `<header>
<p class="eyebrow">Evaluation of abnormality detection</p>
<h1>${text(options.title ?? dataset)}</h1>
<p class="lede">${text(method)}, preset ${text(preset)}, ${protocol} protocol, on ${counts(record)}.</p>
<p class="notice" role="note">${NOTICE}</p>
${record.selection === 'best-on-test' ? `<p class="notice" role="note">The epoch was chosen on the test set. Do not compare these numbers with ones from a last epoch.</p>` : ''}
<dl class="facts">${facts(headLines(record, options.title !== undefined))}</dl>
<nav aria-label="Sections"><a href="#reading">In plain words</a><a href="#numbers">Numbers</a><a href="#curves">Curves</a><a href="#mistakes">Mistakes</a><a href="#images">Images</a><a href="#made">How it was made</a></nav>
</header>
<main>
<section aria-labelledby="reading"><h2 id="reading">In plain words</h2>
<div class="prose">${reading(record, found)
    .map((paragraph) => `<p>${text(paragraph)}</p>`)
    .join('\n')}</div></section>
<section aria-labelledby="numbers"><h2 id="numbers">Numbers</h2>
${numbers(record)}
<p class="note">Intervals: 95\u00a0% bootstrap, images drawn with replacement. All values are fractions of 1.</p></section>
<section aria-labelledby="curves"><h2 id="curves">Curves</h2>
<div class="columns three">${rocPanel(record, found)}${prPanel(record, found)}${histogramPanel(record)}</div></section>
<section aria-labelledby="mistakes"><h2 id="mistakes">Mistakes</h2>
${confusion(record, found)}
`;
  if (!Number.isNaN(record.image.f1max.threshold)) {
    for (const kind of kinds) {
      const all = found[kind.outcome];
      const worst = all.slice(0, WORST);
      yield kindStart(kind, all.length, worst.length);
      for (const index of worst) yield mistakeCard(record, index, await gallery.next(index, false));
      if (worst.length > 0) yield '</div>\n';
    }
  }
  yield '</section>\n';
  for (const index of pictureOrder(record, found, WORST)) {
    if (gallery.full) break;
    if (gallery.asked.has(index)) continue;
    const picture = await gallery.next(index, true);
    if (picture) yield `<div hidden data-picture="${index}">${picture}</div>\n`;
  }
  yield `<section aria-labelledby="images"><h2 id="images">Images <span class="count">${images.length}</span></h2>
<p class="note">${pictureNote(gallery.pictured.size, images.length)} Choose a row to see its image.</p>
${filters}
`;
  yield* imageTable(record, gallery.pictured);
  yield `</section>
<section aria-labelledby="made"><h2 id="made">How it was made</h2>
${provenance(record, await fingerprint(json))}</section>
</main>
${viewer(range)}
<script type="application/json" id="record">${insideScript(json)}</script>
<footer>Made by mla-lp ${text(version)}, ${text(written(record.created))}. ${TRAVELS}</footer>
${pageEnd(shell)}`;
}

/** Fetches pictures within their bounds, and knows which ones there are. */
class Gallery {
  readonly pictured = new Set<number>();
  readonly asked = new Set<number>();
  full: boolean;
  #bytes = 0;

  constructor(
    private readonly record: EvaluationRecord,
    private readonly source: PictureSource,
    private readonly most: number,
    private readonly mostBytes: number,
  ) {
    this.full = most < 1;
  }

  async next(index: number, lazy: boolean): Promise<string | undefined> {
    if (this.full) return undefined;
    this.asked.add(index);
    const picture = await this.source(index);
    if (!picture) return undefined;
    const html = stack(this.record.images[index]!.name, picture, lazy);
    this.#bytes += html.length;
    if (this.#bytes > this.mostBytes) {
      this.full = true;
      return undefined;
    }
    this.pictured.add(index);
    this.full = this.pictured.size >= this.most;
    return html;
  }
}

function counts({ images }: EvaluationRecord): string {
  const abnormal = images.filter((entry) => entry.abnormal).length;
  return `${plural(images.length, 'image')}: ${abnormal} abnormal and ${images.length - abnormal} normal`;
}

function headLines(record: EvaluationRecord, titled: boolean): [string, string][] {
  const { dataset, protocol, selection, versions, failures, created } = record;
  const lines: [string, string][] = [
    ['Protocol', protocols[protocol]],
    ['Epoch', selections[selection]],
    ['Date', written(created)],
  ];
  if (titled) lines.unshift(['Data set', dataset]);
  if (versions['mla-lp']) lines.push(['Software', `mla-lp ${versions['mla-lp']}`]);
  if (versions.adapter) lines.push(['Adapter', versions.adapter]);
  if (failures.length > 0) lines.push(['Left out', `${plural(failures.length, 'image')} that failed`]);
  return lines;
}

/** The same JSON: a "<" could end the element that it stands in. */
function insideScript(json: string): string {
  return json.replaceAll('<', '\\u003c');
}

/** A record may come from a file: a date that is none is shown as it stands. */
function written(created: string): string {
  const date = new Date(created);
  return Number.isNaN(date.getTime()) ? created : minute(date);
}

function pictureNote(pictured: number, all: number): string {
  if (pictured === all) return 'Pictures of all images are in this file.';
  if (pictured === 0) return 'No pictures are in this file.';
  return `Pictures of ${pictured} of ${all} images are in this file: of the worst mistakes first, then of the other mistakes, then an even spread over the scores.`;
}
