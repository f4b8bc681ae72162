/**
 * The protocols' last step: from what each image gave to its score and its map (MVFA-AD's test code, which MLA-LP's authors kept;
 * paper, section 3.4).
 *
 * zero-shot: the detection score, and the segmentation map, as they are.
 * few-shot: each of {zero-shot, few-shot} is scaled to 0..1 by the extremes over the whole test set, then
 *   map = 0.5 zero-shot + 0.5 few-shot.
 * With masks an image's score is the maximum of its map; without, the same mix of the detection score and the mean of the
 * detection head's distances. Methods that give no distances (`fused` is false) have their own few-shot scores and maps: final ones,
 * but for APRIL-GAN's image score (Chen et al. 2023, the authors' test.py): half of it is the largest value of the image's map, scaled
 * to 0..1 by the extremes of that over the test set.
 */
import { ValueError } from '../runtime/errors';
import { type Range, type RawMaps, type RawResult, type RawResults, rangeOf, scored } from './raw-results';

/** What values are scaled by. */
export interface Scaling {
  readonly zeroShotScore: Range;
  readonly fewShotScore: Range;
  readonly zeroShotMap: Range;
  readonly fewShotMap: Range;
}

function hull(ranges: Iterable<Range | number>): Range {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const range of ranges) {
    const [a, b] = typeof range === 'number' ? [range, range] : range;
    low = Math.min(low, a);
    high = Math.max(high, b);
  }
  return [low, high];
}

/** The extremes over a test set whose images all have few-shot parts. @throws ValueError where one has none. */
export function scalingOf(results: readonly RawResult[]): Scaling {
  return {
    zeroShotScore: hull(results.map((r) => r.zeroShot)),
    fewShotScore: hull(results.map((r) => fewShotOf(r).score)),
    zeroShotMap: hull(results.map((r) => r.zeroShotRange)),
    fewShotMap: hull(results.map((r) => fewShotOf(r).range)),
  };
}

function fewShotOf({ name, fewShot, fewShotRange }: RawResult): { score: number; range: Range } {
  if (fewShot === undefined || fewShotRange === undefined)
    throw new ValueError(`${name} was not compared with a memory bank.`, 'Score all images with the bank.');
  return { score: fewShot, range: fewShotRange };
}

/** A test set that gives one value only has nothing to rank: everything is 0 then. */
function scaled(value: number, [low, high]: Range): number {
  return high > low ? (value - low) / (high - low) : 0;
}

const HALF = 0.5;

/** f32 [S, S]. */
export function fuseMaps(
  { zeroShot, fewShot }: Pick<RawMaps, 'zeroShot' | 'fewShot'>,
  { zeroShotMap, fewShotMap }: Scaling,
): Float32Array<ArrayBuffer> {
  const out = new Float32Array(zeroShot.length);
  for (let i = 0; i < out.length; i++)
    out[i] = HALF * scaled(zeroShot[i]!, zeroShotMap) + HALF * scaled(fewShot![i]!, fewShotMap);
  return out;
}

/** Without masks. */
export function fuseScores(
  result: Pick<RawResult, 'zeroShot' | 'fewShot'>,
  { zeroShotScore, fewShotScore }: Scaling,
): number {
  return HALF * scaled(result.zeroShot, zeroShotScore) + HALF * scaled(result.fewShot!, fewShotScore);
}

/** An image's final results. */
export interface Fused {
  readonly result: RawResult;
  readonly score: number;
  /** f32 [S, S]. */
  readonly map: Float32Array<ArrayBuffer>;
  readonly mask?: Uint8Array<ArrayBuffer>;
}

/** The protocol applied to results: image by image, as often as wanted, one map in memory at a time. */
export class FusedResults {
  /** Undefined in the zero-shot protocol. */
  readonly scaling: Scaling | undefined;
  readonly results: readonly RawResult[];
  /** Of the maps' largest values, where those are part of the scores. */
  readonly #maxima: Range | undefined;

  constructor(private readonly raw: RawResults) {
    const { fused, method, protocol } = raw.header;
    this.results = scored(raw);
    this.scaling = fused ? scalingOf(this.results) : undefined;
    this.#maxima =
      method === 'april-gan' && protocol === 'few-shot'
        ? hull(this.results.map(({ zeroShotRange }) => zeroShotRange[1]))
        : undefined;
  }

  async fused(result: RawResult): Promise<Fused> {
    const maps = await this.raw.maps(result.index);
    const map = this.scaling ? fuseMaps(maps, this.scaling) : maps.zeroShot;
    const score = this.#score(result, map);
    return { result, score, map, ...(maps.mask && { mask: maps.mask }) };
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Fused> {
    for (const result of this.results) yield await this.fused(result);
  }

  #score(result: RawResult, map: Float32Array): number {
    if (this.#maxima) return HALF * result.zeroShot + HALF * scaled(result.zeroShotRange[1], this.#maxima);
    if (!this.scaling) return result.zeroShot;
    if (!this.raw.header.hasMasks) return fuseScores(result, this.scaling);
    return rangeOf(map)[1];
  }
}
