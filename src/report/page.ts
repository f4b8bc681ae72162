/**
 * What every report is made of: one HTML file that asks no server for anything (a content security policy forbids it), keeps its
 * pictures inside, and treats every name as text.
 */
import { sniffFormat } from '../data/formats/sniff';
import { type ColormapName, colormap } from './colormap';

export const NOTICE =
  'Research software. Not a medical device: not for diagnosis, treatment or any decision about a patient. ' +
  'Scores rank images; they are no probabilities of disease.';

export const TRAVELS =
  'File names and any text burned into the images travel with this file: look before you pass it on.';

export interface Shell {
  readonly title: string;
  /** Of this software. */
  readonly version: string;
  readonly styles: string;
  readonly script: string;
}

/** Everything up to and including `<body>`; `pageEnd` closes it. Between them no other script or style would be allowed. */
export async function pageStart({ title, version, styles, script }: Shell): Promise<string> {
  const policy = [
    "default-src 'none'",
    'img-src data:',
    `style-src '${await digest(styles)}'`,
    `script-src '${await digest(script)}'`,
    "base-uri 'none'",
    "form-action 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join('; ');
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta name="generator" content="mla-lp ${text(version)}">
<title>${text(title)}</title>
<style>${styles}</style>
</head>
<body>
`;
}

export function pageEnd({ script }: Shell): string {
  return `<script>${script}</script>
</body>
</html>
`;
}

/** Names and values of a header, as the items of a `<dl class="facts">`. */
export function facts(lines: Iterable<readonly [name: string, value: string]>): string {
  return Array.from(
    lines,
    ([name, value]) => `<div><dt>${text(name)}</dt><dd>${text(value)}</dd></div>`,
  ).join('');
}

/** "2026-01-02 03:04 UTC". */
export function minute(date: Date): string {
  return `${date.toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}

/** Style sheet of the bar that explains the colours of a heatmap. */
export function scaleStyles(name: ColormapName): string {
  const map = colormap(name);
  const stops = Array.from({ length: 9 }, (_, k) => {
    const o = Math.round((k * 255) / 8) * 3;
    return `rgb(${map[o]},${map[o + 1]},${map[o + 2]})`;
  });
  return `\n.scale{background:linear-gradient(90deg,${stops.join(',')})}`;
}

/** A number at the end of a colour scale. */
export function short(value: number): string {
  return Math.abs(value) >= 0.01 || value === 0 ? value.toFixed(2) : value.toExponential(1);
}

/** @param picture a PNG or JPEG. */
export function dataUri(picture: Uint8Array): string {
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
  return `sha256-${base64(await sha256(source))}`;
}

/** SHA-256 of a text's UTF-8, in hexadecimal. */
export async function fingerprint(source: string): Promise<string> {
  return Array.from(await sha256(source), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

async function sha256(source: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(source)));
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
