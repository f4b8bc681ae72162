/** One HTML file that shows a run: what ran, every score, every heatmap. */
import { type ColormapName, defaultColormap } from './colormap';
import {
  dataUri,
  facts,
  minute,
  NOTICE,
  pageEnd,
  pageStart,
  plural,
  scaleStyles,
  short,
  TRAVELS,
  text,
} from './page';
import { scorePlot } from './score-plot';
import { script } from './script';
import { type SliceCurve, sliceCurves } from './slice-curve';
import { styles } from './styles';

export interface ReportItem {
  /** What the reader knows the image by; shown as text, whatever it holds. */
  readonly file: string;
  /** Image score, higher is more abnormal; absent or NaN is shown as invalid, never as normal. */
  readonly score?: number;
  /** Scores of the stages, in order. */
  readonly levels?: readonly number[];
  /** By a threshold, where the model has one. */
  readonly label?: 'normal' | 'abnormal';
  /** Outline of the map at its threshold: SVG path data in the picture's pixels. */
  readonly outline?: string;
  /** Why there is no result. */
  readonly error?: string;
  /** PNG or JPEG. */
  readonly originalPng?: Uint8Array;
  /** PNG or JPEG of the same shape; drawn with opacity 1, the opacity slider can go all the way (see reportPictures). */
  readonly overlayPng?: Uint8Array;
  /** Size of the two pictures in pixels, so that the page does not jump while it loads. */
  readonly width?: number;
  readonly height?: number;
  /** Values of the lowest and highest colour of this item's heatmap. */
  readonly range?: readonly [low: number, high: number];
}

export interface Report {
  readonly title: string;
  /** The graphics device that computed, as it calls itself. */
  readonly adapter: string;
  readonly weights: string;
  /** "mla-lp" or "clip", with preset and checkpoint where there are any. */
  readonly method: string;
  /** Version of this software. */
  readonly version: string;
  readonly date: Date;
  /** Further lines of the header, for instance precision or image size. */
  readonly details?: Readonly<Record<string, string>>;
  readonly colormap?: ColormapName;
  readonly items: readonly ReportItem[];
  /** Of volumes: their scores along the slices. */
  readonly curves?: readonly SliceCurve[];
}

/** The whole page. Its size is that of the pictures times 4/3; leave out pictures of some items to bound it. */
export async function reportPage(report: Report): Promise<string> {
  const shell = {
    title: report.title,
    version: report.version,
    styles: styles + scaleStyles(report.colormap ?? defaultColormap),
    script,
  };
  const { items } = report;
  const stages = items.reduce((most, item) => Math.max(most, item.levels?.length ?? 0), 0);
  const failed = items.filter((item) => item.error !== undefined);
  const cards = items.map(card).join('\n');
  return `${await pageStart(shell)}<header>
<h1>${text(report.title)}</h1>
<p class="notice" role="note">${NOTICE}</p>
<dl class="facts">${facts(headLines(report))}</dl>
</header>
<main>
<section aria-labelledby="scores">
<h2 id="scores">Scores <span class="count">${summary(items, failed.length)}</span></h2>
${scorePlot(items)}
${table(items, stages)}
</section>
${sliceCurves(report.curves ?? [])}
${failed.length > 0 ? failures(failed) : ''}
${cards === '' ? '' : `<section aria-labelledby="images"><h2 id="images">Heatmaps</h2>${controls}<div class="cards">\n${cards}\n</div></section>`}
</main>
<footer>Made by mla-lp ${text(report.version)} on ${text(report.date.toISOString().slice(0, 10))}.
${TRAVELS}</footer>
${pageEnd(shell)}`;
}

const controls = `<p class="controls"><label>Heatmap opacity, all images
<input type="range" id="opacity-all" min="0" max="100" value="60"></label></p>`;

function headLines(report: Report): [string, string][] {
  return [
    ['Method', report.method],
    ['Weights', report.weights],
    ['Adapter', report.adapter],
    ['Software', `mla-lp ${report.version}`],
    ['Date', minute(report.date)],
    ...Object.entries(report.details ?? {}),
  ];
}

function summary(items: readonly ReportItem[], failed: number): string {
  const images = plural(items.length, 'image');
  return failed > 0 ? `${images}, ${failed} failed` : images;
}

function table(items: readonly ReportItem[], stages: number): string {
  const levels = Array.from({ length: stages }, (_, i) => `Stage ${i + 1}`);
  const heading = (name: string, number: boolean) =>
    `<th scope="col"${number ? ' class="number"' : ''}><button type="button">${name}</button></th>`;
  const heads = [heading('File', false), heading('Score', true)];
  heads.push(...levels.map((name) => heading(name, true)), heading('Status', false));
  const rows = items.map((item, i) => {
    const name = hasPicture(item) ? `<a href="#image-${i}">${text(item.file)}</a>` : text(item.file);
    const cells = [`<th scope="row" data-sort="${text(item.file)}">${name}</th>`, number(item.score)];
    for (let k = 0; k < stages; k++) cells.push(number(item.levels?.[k]));
    cells.push(`<td class="${status(item)}">${verdict(item)}</td>`);
    return `<tr data-card="image-${i}">${cells.join('')}</tr>`;
  });
  return `<div class="scroll" tabindex="0" role="region" aria-labelledby="scores"><table id="table">
<thead><tr>${heads.join('')}</tr></thead>
<tbody>
${rows.join('\n')}
</tbody></table></div>`;
}

function number(value: number | undefined): string {
  if (value === undefined || !Number.isFinite(value)) return '<td class="number" data-sort="">&ndash;</td>';
  return `<td class="number" data-sort="${value}">${value.toFixed(4)}</td>`;
}

function status(item: ReportItem): 'ok' | 'failed' | 'invalid' {
  if (item.error !== undefined) return 'failed';
  return item.score !== undefined && Number.isFinite(item.score) ? 'ok' : 'invalid';
}

/** The label where a threshold gives one; never for a result that is none. */
function verdict(item: ReportItem): string {
  const state = status(item);
  return state === 'ok' && item.label ? `<span class="label-${item.label}">${item.label}</span>` : state;
}

function failures(failed: readonly ReportItem[]): string {
  const lines = failed.map(({ file, error }) => `<li><b>${text(file)}</b> ${text(error!)}</li>`);
  return `<section aria-labelledby="failed"><h2 id="failed">Failed</h2><ul class="failures">${lines.join('')}</ul></section>`;
}

function hasPicture(item: ReportItem): boolean {
  return item.error === undefined && item.originalPng !== undefined && item.overlayPng !== undefined;
}

function outline({ outline: path, width, height }: ReportItem): string {
  if (!path || !width || !height) return '';
  return `<svg class="outline" viewBox="0 0 ${width} ${height}" preserveAspectRatio="none" aria-hidden="true"><path d="${text(path)}"/></svg>\n`;
}

function card(item: ReportItem, i: number): string {
  if (!hasPicture(item)) return '';
  const size = item.width && item.height ? ` width="${item.width}" height="${item.height}"` : '';
  const name = text(item.file);
  const low = item.range ? short(item.range[0]) : 'low';
  const high = item.range ? short(item.range[1]) : 'high';
  return `<article class="card" id="image-${i}">
<h3><span class="name">${name}</span> <span class="score">${status(item) === 'ok' ? item.score!.toFixed(4) : 'invalid'}</span>${status(item) === 'ok' && item.label ? ` ${verdict(item)}` : ''}</h3>
<div class="pair">
<img alt="${name}, original"${size} src="${dataUri(item.originalPng!)}">
<img alt="${name}, heatmap" class="heat"${size} src="${dataUri(item.overlayPng!)}">
${outline(item)}<input type="range" class="cut" min="0" max="100" value="50" step="0.5" aria-label="Original to the left, heatmap to the right of this point">
</div>
<div class="legend"><span>${low}</span><span class="scale"></span><span>${high}</span>
<label>Opacity <input type="range" class="opacity" min="0" max="100" value="60"></label></div>
</article>`;
}
