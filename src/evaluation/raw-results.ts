/**
 * What the images of a data set gave, one by one, before anything is known of the others: protocols that scale scores by the
 * whole test set, metrics and reports begin here, whether one machine scored all images or several a part each.
 */
import type { Protocol, Selection } from './record';

/** Lowest and highest value of a map. */
export type Range = readonly [low: number, high: number];

export interface RawResult {
  /** Place in the data set, from 0. */
  readonly index: number;
  /** Path relative to the data set's folder, with slashes. */
  readonly name: string;
  readonly abnormal: boolean;
  /** Its pixels count: it has a mask, or is a normal image of a data set with masks. */
  readonly hasMask: boolean;
  /** The detection score without a bank. */
  readonly zeroShot: number;
  readonly zeroShotRange: Range;
  /** Mean over pixels of the detection head's distances to the bank. */
  readonly fewShot?: number;
  readonly fewShotRange?: Range;
}

export interface RawFailure {
  readonly index: number;
  readonly name: string;
  readonly error: string;
}

export type RawOutcome = RawResult | RawFailure;

export interface RawMaps {
  /** f32 [S, S]: the segmentation map without a bank. */
  readonly zeroShot: Float32Array<ArrayBuffer>;
  /** f32 [S, S]: the segmentation head's distances to the bank. */
  readonly fewShot?: Float32Array<ArrayBuffer>;
  /** [S, S], 1 abnormal, where `hasMask`. */
  readonly mask?: Uint8Array<ArrayBuffer>;
}

/** What all shards of one evaluation share. */
export interface RawHeader {
  readonly dataset: string;
  readonly protocol: Protocol;
  readonly method: string;
  readonly preset: string;
  readonly selection: Selection;
  /** Whether images have a zero-shot and a few-shot part to mix; other few-shot methods give final scores and maps. */
  readonly fused: boolean;
  /** Side of maps and masks, px. */
  readonly size: number;
  readonly hasMasks: boolean;
  /** Images of the whole data set. */
  readonly n: number;
  /** Tells the list of images, their labels and masks' presence from any other. */
  readonly images: string;
  readonly configuration: Readonly<Record<string, string | number | boolean>>;
}

/** The results of a whole data set or of a part of it. */
export interface RawResults {
  readonly header: RawHeader;
  /** By index. */
  readonly outcomes: readonly RawOutcome[];
  /** mla-lp, runtime, adapter; values of several machines are joined. */
  readonly versions: Readonly<Record<string, string>>;
  /** Command lines that made it. */
  readonly commands: readonly string[];
  maps(index: number): Promise<RawMaps>;
}

export function isFailure(outcome: RawOutcome): outcome is RawFailure {
  return 'error' in outcome;
}

/** The results that are there, failures left out, by index. */
export function scored({ outcomes }: RawResults): RawResult[] {
  return outcomes.filter((outcome): outcome is RawResult => !isFailure(outcome));
}

/** Extremes of a map. */
export function rangeOf(map: Float32Array): Range {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const value of map) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return [low, high];
}

/** Shard i of n takes every n-th image, so that normal and abnormal ones are spread evenly. @param shard counted from 1. */
export function shardIndices(images: number, shard: number, shards: number): number[] {
  return Array.from({ length: images }, (_, i) => i).filter((i) => i % shards === shard - 1);
}
