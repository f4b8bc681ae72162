/** Pictures of images, with heatmap and outlines as layers over each other. */
import { dataUri, text } from '../page';

export interface EvaluationPicture {
  /** PNG or JPEG; `reportPictures` makes both layers. */
  readonly original: Uint8Array;
  /** PNG or JPEG of the same shape, opaque: the reader's slider makes it transparent. */
  readonly heatmap: Uint8Array;
  /** Of both, in pixels. */
  readonly width: number;
  readonly height: number;
  /** Ground truth: `maskContour` with the picture's size as its target; empty where the mask is. */
  readonly truth?: string;
  /** Where the map reaches the pixels' threshold: `mapContour`. */
  readonly predicted?: string;
}

/**
 * Gives the picture of `record.images[index]`, or nothing where it can no longer be had. Asked once an image, one at a time, in an order
 * of the page's choosing; nothing that it returns is kept.
 */
export type PictureSource = (index: number) => Promise<EvaluationPicture | undefined>;

/** The layers of one picture. `lazy` pictures are not decoded while they are hidden. */
export function stack(name: string, picture: EvaluationPicture, lazy: boolean): string {
  const { original, heatmap, width, height, truth, predicted } = picture;
  const attributes = `width="${width}" height="${height}"${lazy ? ' loading="lazy"' : ''}`;
  const layer = (kind: string, bytes: Uint8Array) =>
    `<img class="${kind}" alt="${text(name)}, ${kind}" ${attributes} src="${dataUri(bytes)}">`;
  const outline = (kind: string, path: string | undefined) =>
    path ? `<path class="${kind}" d="${text(path)}"/>` : '';
  const outlines = outline('predicted', predicted) + outline('truth', truth);
  return `<div class="stack">${layer('original', original)}${layer('heatmap', heatmap)}${
    outlines &&
    `<svg viewBox="0 0 ${width} ${height}" preserveAspectRatio="none" aria-hidden="true">${outlines}</svg>`
  }</div>`;
}
