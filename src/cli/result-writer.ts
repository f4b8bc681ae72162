/** Writes what `detect` found: heatmaps beside each other, and one report with the most abnormal images' pictures. */
import { mkdir } from 'node:fs/promises';
import systemPath, { dirname, join, type PlatformPath } from 'node:path';
import type { RgbImage } from '../data/image';
import { squarePixels } from '../data/square-pixels';
import type { Judgement } from '../evaluation/judge';
import { writeFileAtomic } from '../io/node/write-file';
import { version } from '../io/version';
import { newUid, secondaryCapture } from '../io/write-dicom';
import type { Detection } from '../model/detector';
import { encodeJpeg, encodePng } from '../platform/node/encode-png';
import {
  type ColormapName,
  mapContour,
  mapRange,
  overlayHeatmap,
  type Report,
  type ReportItem,
  reportPage,
  reportPictures,
  type SliceCurve,
} from '../report';
import type { Picture, PictureVolume } from './pictures';

/** Pictures a report embeds: beyond this it would be too large to open; all heatmaps are files anyway. */
const PICTURES = 120;

export interface ResultOptions {
  readonly out: string;
  readonly colormap: ColormapName;
  readonly opacity: number;
  /** `full`: 0 to the number of stages, the same for all images; `auto`: each image's own extremes. */
  readonly range: 'full' | 'auto';
  /** Also writes every heatmap as DICOM Secondary Capture. */
  readonly dicom?: boolean;
}

export class ResultWriter {
  #items: (ReportItem & { rank: number; picture: Picture })[] = [];
  readonly #names: Map<string, string>;
  readonly #study = newUid();
  /** UIDs, one a volume and one for all other pictures, and how many pictures were written there. */
  readonly #series = new Map<PictureVolume | undefined, { uid: string; count: number }>();

  /** @param pictures all of the run, for file names that do not collide. */
  constructor(
    private readonly options: ResultOptions,
    pictures: readonly Picture[],
  ) {
    this.#names = outputNames(pictures.map(({ path }) => path));
  }

  /** Where outputs of a picture go: a path below the output folder, without ending. */
  nameOf({ path }: Picture): string {
    return join(this.options.out, this.#names.get(path)!);
  }

  /**
   * Writes the heatmap over the original, at its own size (slices with square pixels), with a contour where a threshold is known.
   * @param top largest value that a map can have.
   */
  async add(
    picture: Picture,
    source: RgbImage,
    detection: Detection,
    top = detection.levels.length,
    judgement?: Judgement,
  ): Promise<void> {
    const { colormap, opacity } = this.options;
    const image = picture.volume ? squarePixels(source, picture.volume.volume.grid) : source;
    const { score, levels, map, size } = detection;
    const range = this.options.range === 'full' ? ([0, top] as const) : mapRange(map);
    const contour =
      judgement?.contour === undefined ? undefined : { map: judgement.map, threshold: judgement.contour };
    const overlay = overlayHeatmap(image, map, size, {
      colormap,
      opacity,
      range,
      ...(contour && { contour }),
    });
    const path = this.nameOf(picture);
    await mkdir(dirname(path), { recursive: true });
    await writeFileAtomic(`${path}.heatmap.png`, [await encodePng(overlay)]);
    if (this.options.dicom) await writeFileAtomic(`${path}.heatmap.dcm`, [this.#capture(picture, overlay)]);
    const pictures = reportPictures(image, map, size, { colormap, range });
    this.#items.push({
      file: picture.title,
      picture,
      score,
      levels,
      range,
      rank: score,
      ...(judgement && { label: judgement.label }),
      ...(contour && {
        outline: mapContour(contour.map, size, size, contour.threshold, { target: pictures.original }),
      }),
      originalPng: await encodeJpeg(pictures.original),
      overlayPng: await encodeJpeg(pictures.heatmap),
      width: pictures.original.width,
      height: pictures.original.height,
    });
    this.#dropPictures();
  }

  addFailure(picture: Picture, error: string): void {
    this.#items.push({ file: picture.title, picture, error, rank: Number.NEGATIVE_INFINITY });
  }

  #capture({ volume, slice }: Picture, overlay: RgbImage): Uint8Array<ArrayBuffer> {
    const series = this.#series.get(volume) ?? { uid: newUid(), count: 0 };
    this.#series.set(volume, series);
    series.count++;
    return secondaryCapture({
      ...overlay,
      study: this.#study,
      series: series.uid,
      instance: slice === undefined ? series.count : slice + 1,
      version,
      description: 'Heatmap of abnormality over the image, by mla-lp. Research software, not for diagnosis.',
    });
  }

  /** Writes report.html and returns its path. */
  async finish(about: Omit<Report, 'items' | 'colormap' | 'date'>): Promise<string> {
    const path = join(this.options.out, 'report.html');
    await mkdir(this.options.out, { recursive: true });
    this.#items.sort((a, b) => b.rank - a.rank);
    const page = await reportPage({
      ...about,
      date: new Date(),
      colormap: this.options.colormap,
      items: this.#items,
      curves: this.#curves(),
    });
    await writeFileAtomic(path, [new TextEncoder().encode(page)]);
    return path;
  }

  #curves(): SliceCurve[] {
    // By volume: several series may lie in one folder, and bear its name.
    const curves = new Map<
      PictureVolume,
      { name: string; points: { slice: number; score: number; item?: number }[] }
    >();
    for (const [item, { picture, score, originalPng }] of this.#items.entries()) {
      const { volume, slice } = picture;
      if (!volume || slice === undefined || score === undefined) continue;
      const curve = curves.get(volume) ?? { name: volume.name, points: [] };
      curves.set(volume, curve);
      curve.points.push({ slice, score, ...(originalPng && { item }) });
    }
    for (const { points } of curves.values()) points.sort((a, b) => a.slice - b.slice);
    return [...curves.values()];
  }

  /** Keeps the pictures of the highest scores only. */
  #dropPictures(): void {
    const pictured = this.#items.filter((item) => item.originalPng);
    if (pictured.length <= PICTURES) return;
    const lowest = pictured.reduce((a, b) => (b.rank < a.rank ? b : a));
    const { originalPng: _original, overlayPng: _overlay, outline: _outline, ...rest } = lowest;
    this.#items[this.#items.indexOf(lowest)] = rest;
  }
}

/**
 * Output names: the path below the images' common folder, without the ending where that is no collision. Images without a
 * common folder (two drives on Windows) are named by drive and path. No two names differ in case alone, as some file systems
 * take those for one.
 * @param path `node:path`, of this system or another.
 */
export function outputNames(files: readonly string[], path: PlatformPath = systemPath): Map<string, string> {
  const { sep } = path;
  const absolute = files.map((file) => path.resolve(file));
  const fold = (name: string) => (sep === '\\' ? name.toLowerCase() : name);
  const isBelow = (file: string, folder: string) =>
    fold(file).startsWith(fold(folder.endsWith(sep) ? folder : folder + sep));
  let common = path.dirname(absolute[0] ?? '.');
  for (const file of absolute)
    while (!isBelow(file, common) && path.dirname(common) !== common) common = path.dirname(common);
  const oneRoot = absolute.every((file) => isBelow(file, common));
  const full = absolute.map((file) => {
    if (oneRoot) return path.relative(common, file);
    const { root } = path.parse(file);
    return path.join(...root.split(/[:\\/]+/), file.slice(root.length));
  });
  const bare = full.map((name) => name.replace(/\.[^.\\/]+$/, ''));
  const key = (name: string) => name.normalize('NFC').toLowerCase();
  const counts = new Map<string, number>();
  for (const name of bare) counts.set(key(name), (counts.get(key(name)) ?? 0) + 1);
  const taken = new Set<string>();
  const names = new Map<string, string>();
  files.forEach((file, i) => {
    const wanted = counts.get(key(bare[i]!))! > 1 ? full[i]! : bare[i]!;
    let name = wanted;
    for (let n = 2; taken.has(key(name)); n++) name = `${wanted}-${n}`;
    taken.add(key(name));
    names.set(file, name);
  });
  return names;
}
