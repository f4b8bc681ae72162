/**
 * Exact pixel metrics of any number of images in bounded memory. A first pass counts pixels by the upper half of their scores' bits;
 * then one pass, or as many as the memory asks for, gathers the pixels of a range of scores, sorts them and sweeps on, from the
 * highest score to the lowest; a last pass makes one histogram an image for the bootstrap.
 */
import { OptionError } from '../runtime/errors';
import { BucketCounts, KeyRange, planRanges } from './key-range';
import type { PixelMetrics } from './metrics';
import { changedBetweenPasses, type PixelImages, PixelPasses } from './pixel-passes';
import { type RankingOptions, SPECIFICITIES } from './ranking';
import { BinEdges, binsFor, ImageHistograms } from './score-bins';
import { scoreOf } from './sortable';
import { Sweep } from './sweep';

export interface PixelOptions extends RankingOptions {
  /** Bytes for pixels held at once; less takes more passes. Default 256 MiB; 1000 maps of 240x240 need about half of it. */
  readonly memory?: number;
}

/**
 * AUROC, AP, F1-max and sensitivities over all pixels of all images, and AUPRO over the 8-connected regions of the masks.
 * Intervals: stratified percentile bootstrap by image (bootstrap.ts), approximate to the bins of score-bins.ts.
 * @param images are read three times or more.
 * @returns fractions of 1; NaN and empty curves when one of the classes is missing.
 * @throws ShapeError when map and mask do not fit. @throws ValueError on a NaN score, or when the images change between passes.
 * @throws OptionError on a bad option.
 */
export async function pixelMetrics(images: PixelImages, options: PixelOptions = {}): Promise<PixelMetrics> {
  const { memory = 256 * 2 ** 20, specificities = SPECIFICITIES } = options;
  if (!(memory >= 1 && memory <= 2 ** 31)) {
    throw new OptionError(`${memory} bytes cannot hold pixels.`, 'Give up to 2 GiB.');
  }
  const passes = new PixelPasses(images);
  const counts = new BucketCounts();
  let count = 0;
  let abnormalImages = 0;
  let regions = 0;
  await passes.each((image) => {
    counts.add(image);
    count++;
    regions += image.regions;
    if (image.regions > 0) abnormalImages++;
  });
  const sum = (values: Float64Array) => values.reduce((total, value) => total + value, 0);
  const normals = sum(counts.normal);
  const abnormals = sum(counts.abnormal);

  const sweep = new Sweep(normals, abnormals, regions, specificities);
  const { totals } = sweep;
  const edges = new BinEdges(binsFor(count, abnormalImages));
  for (const [from, to] of planRanges(counts, memory)) {
    const range = new KeyRange(from, to, counts, memory);
    await passes.each((image) => range.add(image));
    range.forEachDescending((key, normal, abnormal, covered) => {
      sweep.step(scoreOf(key), normal, abnormal, covered);
      edges.add(key, (totals.falsePositives / normals + totals.truePositives / abnormals) / 2);
    });
  }
  if (totals.truePositives !== abnormals || totals.falsePositives !== normals) throw changedBetweenPasses();

  const { values, roc, pr, sensitivityAt } = sweep.finish();
  const resamples = Number.isNaN(values.auroc) ? 0 : options.resamples;
  const histograms = new ImageHistograms(edges.ascending(), count, abnormalImages);
  if (resamples !== 0) await passes.each((image) => histograms.add(image));
  const { auroc, ap, f1max, aupro } = histograms.estimates(values, {
    ...options,
    ...(resamples === 0 && { resamples }),
  });
  return { auroc, ap, f1max: { ...f1max, threshold: values.f1Threshold }, aupro, sensitivityAt, roc, pr };
}
