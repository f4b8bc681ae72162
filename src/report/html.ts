/**
 * One HTML file that shows a run: what ran, every score, every heatmap. It asks no server for anything (a content security
 * policy forbids it), keeps its pictures inside, and treats every name as text.
 */
import { sniffFormat } from '../data/formats/sniff';
import { type ColormapName, colormap, defaultColormap } from './colormap';
import { scorePlot } from './score-plot';
import { script } from './script';
import { styles } from './styles';

export interface ReportItem {
  /** What the reader knows the image by; shown as text, whatever it holds. */
  readonly file: string;
  /** Image score, higher is more abnormal; absent or NaN is shown as invalid, never as normal. */
  readonly score?: number;
  /** Scores of the stages, in order. */
  readonly levels?: readonly number[];
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
}

const NOTICE =
  'Research software. Not a medical device: not for diagnosis, treatment or any decision about a patient. ' +
  'Scores rank images; they are no probabilities of disease.';

/** The whole page. Its size is that of the pictures times 4/3; leave out pictures of some items to bound it. */
export async function reportPage(report: Report): Promise<string> {
  const css = `${styles}\n.scale{background:linear-gradient(90deg,${gradient(report.colormap ?? defaultColormap)})}`;
  const policy = [
    "default-src 'none'",
    'img-src data:',
    `style-src '${await digest(css)}'`,
    `script-src '${await digest(script)}'`,
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ');
  const { items } = report;
  const stages = items.reduce((most, item) => Math.max(most, item.levels?.length ?? 0), 0);
  const failed = items.filter((item) => item.error !== undefined);
  const cards = items.map(card).join('\n');
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta name="generator" content="mla-lp ${text(report.version)}">
<title>${text(report.title)}</title>
<style>${css}</style>
</head>
<body>
<header>
<h1>${text(report.title)}</h1>
<p class="notice" role="note">${NOTICE}</p>
<dl class="facts">${facts(report)}</dl>
</header>
<main>
<section aria-labelledby="scores">
<h2 id="scores">Scores <span class="count">${summary(items, failed.length)}</span></h2>
${scorePlot(items)}
${table(items, stages)}
</section>
${failed.length > 0 ? failures(failed) : ''}
${cards === '' ? '' : `<section aria-labelledby="images"><h2 id="images">Heatmaps</h2>${controls}<div class="cards">\n${cards}\n</div></section>`}
</main>
<footer>Made by mla-lp ${text(report.version)} on ${text(report.date.toISOString().slice(0, 10))}.
File names and any text burned into the images travel with this file: look before you pass it on.</footer>
<script>${script}</script>
</body>
</html>
`;
}

const controls = `<p class="controls"><label>Heatmap opacity, all images
<input type="range" id="opacity-all" min="0" max="100" value="60"></label></p>`;

function facts(report: Report): string {
  const lines: [string, string][] = [
    ['Method', report.method],
    ['Weights', report.weights],
    ['Adapter', report.adapter],
    ['Software', `mla-lp ${report.version}`],
    ['Date', `${report.date.toISOString().slice(0, 16).replace('T', ' ')} UTC`],
    ...Object.entries(report.details ?? {}),
  ];
  return lines.map(([name, value]) => `<div><dt>${text(name)}</dt><dd>${text(value)}</dd></div>`).join('');
}

function summary(items: readonly ReportItem[], failed: number): string {
  const images = `${items.length} ${items.length === 1 ? 'image' : 'images'}`;
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
    cells.push(`<td class="${status(item)}">${status(item)}</td>`);
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

function failures(failed: readonly ReportItem[]): string {
  const lines = failed.map(({ file, error }) => `<li><b>${text(file)}</b> ${text(error!)}</li>`);
  return `<section aria-labelledby="failed"><h2 id="failed">Failed</h2><ul class="failures">${lines.join('')}</ul></section>`;
}

function hasPicture(item: ReportItem): boolean {
  return item.error === undefined && item.originalPng !== undefined && item.overlayPng !== undefined;
}

function card(item: ReportItem, i: number): string {
  if (!hasPicture(item)) return '';
  const size = item.width && item.height ? ` width="${item.width}" height="${item.height}"` : '';
  const name = text(item.file);
  const low = item.range ? short(item.range[0]) : 'low';
  const high = item.range ? short(item.range[1]) : 'high';
  return `<article class="card" id="image-${i}">
<h3><span class="name">${name}</span> <span class="score">${status(item) === 'ok' ? item.score!.toFixed(4) : 'invalid'}</span></h3>
<div class="pair">
<img alt="${name}, original"${size} src="${dataUri(item.originalPng!)}">
<img alt="${name}, heatmap" class="heat"${size} src="${dataUri(item.overlayPng!)}">
<input type="range" class="cut" min="0" max="100" value="50" step="0.5" aria-label="Original to the left, heatmap to the right of this point">
</div>
<div class="legend"><span>${low}</span><span class="scale"></span><span>${high}</span>
<label>Opacity <input type="range" class="opacity" min="0" max="100" value="60"></label></div>
</article>`;
}

function short(value: number): string {
  return Math.abs(value) >= 0.01 || value === 0 ? value.toFixed(2) : value.toExponential(1);
}

function gradient(name: ColormapName): string {
  const map = colormap(name);
  return Array.from({ length: 9 }, (_, k) => {
    const o = Math.round((k * 255) / 8) * 3;
    return `rgb(${map[o]},${map[o + 1]},${map[o + 2]})`;
  }).join(',');
}

function dataUri(picture: Uint8Array): string {
  const type = sniffFormat(picture) === 'jpeg' ? 'jpeg' : 'png';
  return `data:image/${type};base64,${base64(picture)}`;
}

/** btoa takes a string of bytes; in slices, as a call takes a limited number of arguments. */
function base64(bytes: Uint8Array): string {
  let binary = '';
  for (let at = 0; at < bytes.length; at += 0x8000) {
    binary += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  }
  return btoa(binary);
}

/** The hash by which a content security policy knows an inline script or style. */
async function digest(source: string): Promise<string> {
  const hash = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(source));
  return `sha256-${base64(new Uint8Array(hash))}`;
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Text for HTML content and quoted attributes. Control and direction marks, which can disguise a name, become visible. */
export function text(value: string): string {
  return value
    .replace(/[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, '\ufffd')
    .replace(/[&<>"']/g, (c) => entities[c]!);
}
