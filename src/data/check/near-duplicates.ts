/** Pictures that look alike: a small perceptual hash, and the pairs whose hashes are close. Hints, no proof. */
import type { RgbImage } from '../image';
import { resizeBicubic } from '../resize';

/** Bits of a hash, as eight words. */
export type LookHash = Uint32Array;

const SIDE = 16;
const WORDS = (SIDE * SIDE) / 32;
/** Steps of gray that count as brighter: noise of compression in flat areas does not. */
const STEP = 2;
/** Bits of 256 that may differ between two copies of one picture after scaling or compression. */
const CLOSE = 6;
/** Fewer set bits than this say too little: a nearly flat picture looks like every other one. */
const ENOUGH = 24;

/**
 * 256 bits: whether each of 16 x 16 areas is brighter than the one on its left (a difference hash). Scaling, compression and
 * a change of brightness leave most of them as they are.
 * @returns undefined for a picture too flat to be told from others.
 */
export function lookHash(image: RgbImage): LookHash | undefined {
  const { data } = resizeBicubic(image, SIDE + 1, SIDE);
  const hash = new Uint32Array(WORDS);
  let set = 0;
  for (let y = 0, bit = 0; y < SIDE; y++) {
    for (let x = 0; x < SIDE; x++, bit++) {
      const left = (y * (SIDE + 1) + x) * 3;
      const difference = luma(data, left + 3) - luma(data, left);
      if (difference <= STEP) continue;
      hash[bit >> 5]! |= 1 << (bit & 31);
      set++;
    }
  }
  return set < ENOUGH ? undefined : hash;
}

/** ITU-R BT.601, what Pillow's convert('L') takes. */
function luma(data: Uint8Array, at: number): number {
  return 0.299 * data[at]! + 0.587 * data[at + 1]! + 0.114 * data[at + 2]!;
}

function bits(word: number): number {
  let v = word - ((word >>> 1) & 0x55555555);
  v = (v & 0x33333333) + ((v >>> 2) & 0x33333333);
  return (((v + (v >>> 4)) & 0x0f0f0f0f) * 0x01010101) >>> 24;
}

function weight(hash: LookHash): number {
  return hash.reduce((sum, word) => sum + bits(word), 0);
}

function areClose(a: LookHash, b: LookHash): boolean {
  let distance = 0;
  for (let i = 0; i < WORDS && distance <= CLOSE; i++) distance += bits(a[i]! ^ b[i]!);
  return distance <= CLOSE;
}

/**
 * Pairs of indices whose hashes are close, the lower index first. Hashes are compared where their numbers of set bits allow it.
 * @param most pairs to give; there may be more. @param wanted pairs to leave out by other knowledge.
 */
export function closePairs(
  hashes: readonly (LookHash | undefined)[],
  most: number,
  wanted: (a: number, b: number) => boolean,
): [number, number][] {
  const sorted = hashes
    .flatMap((hash, index) => (hash ? [{ hash, index, weight: weight(hash) }] : []))
    .sort((a, b) => a.weight - b.weight || a.index - b.index);
  const pairs: [number, number][] = [];
  for (const [i, one] of sorted.entries()) {
    for (let j = i + 1; j < sorted.length && sorted[j]!.weight - one.weight <= CLOSE; j++) {
      const other = sorted[j]!;
      if (!areClose(one.hash, other.hash)) continue;
      const pair: [number, number] = [Math.min(one.index, other.index), Math.max(one.index, other.index)];
      if (!wanted(...pair)) continue;
      pairs.push(pair);
      if (pairs.length === most) return pairs;
    }
  }
  return pairs.sort(([a, b], [c, d]) => a - c || b - d);
}
