/** Writes what `detect` found: heatmaps beside each other, and one report with the most abnormal images' pictures. */
import { mkdir } from 'node:fs/promises';
import { dirname, join, relative, resolve, sep } from 'node:path';
import type { RgbImage } from '../data/image';
import { writeFileAtomic } from '../io/node/write-file';
import type { Detection } from '../model/detector';
import { encodeJpeg, encodePng } from '../platform/node/encode-png';
import {
  type ColormapName,
  mapRange,
  overlayHeatmap,
  type Report,
  type ReportItem,
  reportPage,
  reportPictures,
} from '../report';

/** Pictures a report embeds: beyond this it would be too large to open; all heatmaps are files anyway. */
const PICTURES = 120;

export interface ResultOptions {
  readonly out: string;
  readonly colormap: ColormapName;
  readonly opacity: number;
  /** `full`: 0 to the number of stages, the same for all images; `auto`: each image's own extremes. */
  readonly range: 'full' | 'auto';
}

export class ResultWriter {
  readonly #items: (ReportItem & { rank: number })[] = [];
  readonly #names: Map<string, string>;

  /** @param files all images of the run, for file names that do not collide. */
  constructor(
    private readonly options: ResultOptions,
    files: readonly string[],
  ) {
    this.#names = outputNames(files);
  }

  /** Writes the heatmap over the original, at its own size. */
  async add(file: string, image: RgbImage, detection: Detection): Promise<void> {
    const { out, colormap, opacity } = this.options;
    const { score, levels, map, size } = detection;
    const range = this.options.range === 'full' ? ([0, levels.length] as const) : mapRange(map);
    const overlay = overlayHeatmap(image, map, size, { colormap, opacity, range });
    const path = join(out, `${this.#names.get(file)!}.heatmap.png`);
    await mkdir(dirname(path), { recursive: true });
    await writeFileAtomic(path, [await encodePng(overlay)]);
    const pictures = reportPictures(image, map, size, { colormap, range });
    this.#items.push({
      file,
      score,
      levels,
      range,
      rank: score,
      originalPng: await encodeJpeg(pictures.original),
      overlayPng: await encodeJpeg(pictures.heatmap),
      width: pictures.original.width,
      height: pictures.original.height,
    });
    this.#dropPictures();
  }

  addFailure(file: string, error: string): void {
    this.#items.push({ file, error, rank: Number.NEGATIVE_INFINITY });
  }

  /** Writes report.html and returns its path. */
  async finish(about: Omit<Report, 'items' | 'colormap' | 'date'>): Promise<string> {
    const path = join(this.options.out, 'report.html');
    await mkdir(this.options.out, { recursive: true });
    const page = await reportPage({
      ...about,
      date: new Date(),
      colormap: this.options.colormap,
      items: [...this.#items].sort((a, b) => b.rank - a.rank),
    });
    await writeFileAtomic(path, [new TextEncoder().encode(page)]);
    return path;
  }

  /** Keeps the pictures of the highest scores only. */
  #dropPictures(): void {
    const pictured = this.#items.filter((item) => item.originalPng);
    if (pictured.length <= PICTURES) return;
    const lowest = pictured.reduce((a, b) => (b.rank < a.rank ? b : a));
    const { originalPng: _original, overlayPng: _overlay, ...rest } = lowest;
    this.#items[this.#items.indexOf(lowest)] = rest;
  }
}

/** Output names: the path below the images' common folder, without the ending where that is no collision. */
function outputNames(files: readonly string[]): Map<string, string> {
  const absolute = files.map((file) => resolve(file));
  let common = dirname(absolute[0] ?? '.');
  for (const file of absolute)
    while (!file.startsWith(common.endsWith(sep) ? common : common + sep)) common = dirname(common);
  const bare = absolute.map((file) => relative(common, file).replace(/\.[^.\\/]+$/, ''));
  const counts = new Map<string, number>();
  for (const name of bare) counts.set(name, (counts.get(name) ?? 0) + 1);
  return new Map(
    files.map((file, i) => [file, counts.get(bare[i]!)! > 1 ? relative(common, absolute[i]!) : bare[i]!]),
  );
}
