/**
 * Intervals of pixel metrics: images are drawn, and a drawn image counts with the histogram of its scores. The bins hold equal
 * shares of all scores, normal and abnormal pixels weighing half each, so that there is resolution where the classes overlap. Within
 * a bin scores count as tied, which makes a resample's value approximate to the bin's width; what that does to the value of all images
 * together is known exactly and is taken off the bounds.
 */
import { type BootstrapOptions, estimate, resample } from './bootstrap';
import type { Estimate } from './metrics';
import { changedBetweenPasses, type KeyedImage } from './pixel-passes';
import { BUCKETS, bucketOf } from './sortable';
import { Totals, type Values } from './totals';

const MOST_BINS = 1024;
const FEWEST_BINS = 64;
/** For the histograms of all images: with very many images bins are fewer. */
const HISTOGRAM_BYTES = 128 * 2 ** 20;
const LOWEST_KEY = -(2 ** 31);

export function binsFor(images: number, abnormalImages: number): number {
  const bytes = 4 * images + 12 * abnormalImages;
  return Math.max(FEWEST_BINS, Math.min(MOST_BINS, Math.floor(HISTOGRAM_BYTES / bytes)));
}

/** Finds the bins' edges while all distinct keys pass by, descending. */
export class BinEdges {
  private readonly edges: number[] = [];
  private target: number;

  constructor(private readonly bins: number) {
    this.target = 1 / bins;
  }

  /** @param share of all pixels, each class weighing half, with keys of at least `key`. */
  add(key: number, share: number): void {
    if (!(share >= this.target)) return;
    this.edges.push(key);
    this.target = (Math.floor(share * this.bins) + 1) / this.bins;
  }

  /** Lowest key of each bin, ascending. */
  ascending(): Int32Array {
    return Int32Array.from([...this.edges, LOWEST_KEY]).reverse();
  }
}

export class ImageHistograms {
  private readonly bins: number;
  /** Per bucket the bin that its lowest key falls into, and one more. */
  private readonly firstBin = new Uint16Array(BUCKETS + 1);
  private readonly normal: Uint32Array;
  /** Of abnormal images only, in their order. */
  private readonly abnormal: Uint32Array;
  private readonly covered: Float64Array;
  private readonly regions: Uint32Array;
  /** Per image its place among the abnormal ones; -1 if normal. */
  private readonly place: Int32Array;
  private abnormalImages = 0;

  constructor(
    private readonly edges: Int32Array,
    private readonly images: number,
    abnormalImages: number,
  ) {
    this.bins = edges.length;
    for (let bucket = 0, bin = 0; bucket < BUCKETS; bucket++) {
      while (bin + 1 < this.bins && edges[bin + 1]! <= (bucket - BUCKETS / 2) << 16) bin++;
      this.firstBin[bucket] = bin;
    }
    this.firstBin[BUCKETS] = this.bins - 1;
    this.normal = new Uint32Array(images * this.bins);
    this.abnormal = new Uint32Array(abnormalImages * this.bins);
    this.covered = new Float64Array(abnormalImages * this.bins);
    this.regions = new Uint32Array(images);
    this.place = new Int32Array(images).fill(-1);
  }

  add({ index, keys, pixels, mask, regionSizes, regions }: KeyedImage): void {
    const { edges, firstBin, normal, abnormal, covered, bins } = this;
    if (index >= this.images) throw changedBetweenPasses();
    this.regions[index] = regions;
    if (regions > 0) this.place[index] = this.abnormalImages++;
    const normalRow = index * bins;
    const abnormalRow = this.place[index]! * bins;
    for (let i = 0; i < pixels; i++) {
      const key = keys[i]!;
      const bucket = bucketOf(key);
      let bin = firstBin[bucket]!;
      let beyond = firstBin[bucket + 1]! + 1;
      while (beyond - bin > 1) {
        const middle = (bin + beyond) >> 1;
        if (edges[middle]! <= key) bin = middle;
        else beyond = middle;
      }
      if (mask[i] === 0) normal[normalRow + bin]!++;
      else {
        abnormal[abnormalRow + bin]!++;
        covered[abnormalRow + bin]! += 1 / regionSizes[i]!;
      }
    }
  }

  /** @param exact values of all images. */
  estimates(exact: Values, options: BootstrapOptions): Record<'auroc' | 'ap' | 'f1max' | 'aupro', Estimate> {
    const names = ['auroc', 'ap', 'f1max', 'aupro'] as const;
    const binned = this.values(new Uint32Array(this.images).fill(1));
    const samples = names.map(() => [] as number[]);
    resample(this.regions, options, (draws) => {
      const values = this.values(draws);
      for (let i = 0; i < names.length; i++) samples[i]!.push(values[names[i]!]);
    });
    const of = (i: number) => {
      const name = names[i]!;
      return estimate(exact[name], Float64Array.from(samples[i]!), exact[name] - binned[name]);
    };
    return { auroc: of(0), ap: of(1), f1max: of(2), aupro: of(3) };
  }

  private values(draws: Uint32Array): Values {
    const { bins } = this;
    const normal = new Float64Array(bins);
    const abnormal = new Float64Array(bins);
    const covered = new Float64Array(bins);
    let regions = 0;
    for (let i = 0; i < this.images; i++) {
      const times = draws[i]!;
      if (times === 0) continue;
      regions += times * this.regions[i]!;
      addCounts(normal, this.normal, i * bins, times);
      const place = this.place[i]!;
      if (place < 0) continue;
      addCounts(abnormal, this.abnormal, place * bins, times);
      addShares(covered, this.covered, place * bins, times);
    }
    const totals = new Totals(sum(normal), sum(abnormal), regions);
    for (let bin = bins - 1; bin >= 0; bin--) {
      if (normal[bin]! > 0 || abnormal[bin]! > 0)
        totals.step(bin, normal[bin]!, abnormal[bin]!, covered[bin]!);
    }
    return totals.values();
  }
}

// Two of them: each sees one type of array, which is what makes the loop fast.
function addCounts(to: Float64Array, from: Uint32Array, start: number, times: number): void {
  for (let i = 0; i < to.length; i++) to[i]! += times * from[start + i]!;
}

function addShares(to: Float64Array, from: Float64Array, start: number, times: number): void {
  for (let i = 0; i < to.length; i++) to[i]! += times * from[start + i]!;
}

function sum(values: Float64Array): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}
