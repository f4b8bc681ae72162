/**
 * The pixels whose keys lie in a range of buckets, in as little memory as sorting them needs. A bucket says the upper half of a
 * key, so two bytes a pixel hold the rest; abnormal pixels carry the size of their region besides. A bucket with more pixels than a
 * table of all its 65,536 keys would need is counted in such a table.
 */
import { changedBetweenPasses, type KeyedImage } from './pixel-passes';
import { BUCKETS } from './sortable';

const NORMAL_BYTES = 2;
const ABNORMAL_BYTES = 6;
const KEYS = 65536;
/** Normal pixels, abnormal ones, covered share of regions: of each key. */
const TABLE = 3 * KEYS;
const TABLE_BYTES = TABLE * 8;
/** Buckets with fewer pixels are sorted; clearing a table costs more than that. */
const FEW = 4096;

/** Pixels of each class in each bucket. f64: they may be more than 2^32. */
export class BucketCounts {
  readonly normal = new Float64Array(BUCKETS);
  readonly abnormal = new Float64Array(BUCKETS);

  add({ keys, pixels, mask }: KeyedImage): void {
    const { normal, abnormal } = this;
    for (let i = 0; i < pixels; i++) {
      const bucket = (keys[i]! >> 16) + BUCKETS / 2;
      if (mask[i] === 0) normal[bucket]!++;
      else abnormal[bucket]!++;
    }
  }

  bytesOf(bucket: number): number {
    return Math.min(TABLE_BYTES, this.listBytesOf(bucket));
  }

  listBytesOf(bucket: number): number {
    return NORMAL_BYTES * this.normal[bucket]! + ABNORMAL_BYTES * this.abnormal[bucket]!;
  }
}

/**
 * Cuts all buckets into ranges of at most `memory` bytes each, or of one bucket.
 * @returns [from, to) pairs, highest first.
 */
export function planRanges(counts: BucketCounts, memory: number): [from: number, to: number][] {
  const ranges: [number, number][] = [];
  let to = BUCKETS;
  let bytes = 0;
  for (let bucket = BUCKETS - 1; bucket >= 0; bucket--) {
    const more = counts.bytesOf(bucket);
    if (bytes > 0 && bytes + more > memory) {
      ranges.push([bucket + 1, to]);
      to = bucket + 1;
      bytes = 0;
    }
    bytes += more;
  }
  if (bytes > 0) ranges.push([0, to]);
  return ranges;
}

export type Visit = (key: number, normals: number, abnormals: number, covered: number) => void;

export class KeyRange {
  /** Per bucket where its next pixel goes; -1 - t where table t counts it. */
  private readonly nextNormal: Int32Array;
  private readonly nextAbnormal: Int32Array;
  private readonly normals: Uint16Array;
  private readonly abnormals: Uint16Array;
  private readonly sizes: Uint32Array;
  private readonly tables: Float64Array[] = [];
  private readonly scratch = new Float64Array(TABLE);

  constructor(
    private readonly from: number,
    private readonly to: number,
    private readonly counts: BucketCounts,
    memory: number,
  ) {
    this.nextNormal = new Int32Array(to - from);
    this.nextAbnormal = new Int32Array(to - from);
    let all = 0;
    for (let bucket = from; bucket < to; bucket++) all += counts.listBytesOf(bucket);
    let normals = 0;
    let abnormals = 0;
    for (let bucket = from; bucket < to; bucket++) {
      // Lists are written in order, tables at random: lists, where all of them fit.
      if (all > memory && counts.listBytesOf(bucket) > TABLE_BYTES) {
        this.nextNormal[bucket - from] = this.nextAbnormal[bucket - from] = -1 - this.tables.length;
        this.tables.push(new Float64Array(TABLE));
        continue;
      }
      this.nextNormal[bucket - from] = normals;
      this.nextAbnormal[bucket - from] = abnormals;
      normals += counts.normal[bucket]!;
      abnormals += counts.abnormal[bucket]!;
    }
    this.normals = new Uint16Array(normals);
    this.abnormals = new Uint16Array(abnormals);
    this.sizes = new Uint32Array(abnormals);
  }

  add({ keys, pixels, mask, regionSizes }: KeyedImage): void {
    const { nextNormal, nextAbnormal, normals, abnormals, sizes, tables } = this;
    const first = this.from - BUCKETS / 2;
    const buckets = nextNormal.length;
    for (let i = 0; i < pixels; i++) {
      const key = keys[i]!;
      const bucket = (key >> 16) - first;
      if (bucket < 0 || bucket >= buckets) continue;
      const low = key & 0xffff;
      if (mask[i] === 0) {
        const next = nextNormal[bucket]!;
        if (next >= 0) {
          normals[next] = low;
          nextNormal[bucket] = next + 1;
        } else tables[-1 - next]![3 * low]!++;
      } else {
        const next = nextAbnormal[bucket]!;
        if (next >= 0) {
          abnormals[next] = low;
          sizes[next] = regionSizes[i]!;
          nextAbnormal[bucket] = next + 1;
        } else {
          const table = tables[-1 - next]!;
          table[3 * low + 1]!++;
          table[3 * low + 2]! += 1 / regionSizes[i]!;
        }
      }
    }
  }

  /** After the last image: every distinct key of the range, descending. @throws ValueError when the images have changed. */
  forEachDescending(visit: Visit): void {
    // After filling, each bucket's next is its end; a bucket's lists end where the counts say or the images have changed.
    let normalEnd = this.normals.length;
    let abnormalEnd = this.abnormals.length;
    for (let bucket = this.to - 1; bucket >= this.from; bucket--) {
      const base = (bucket - BUCKETS / 2) << 16;
      const next = this.nextNormal[bucket - this.from]!;
      if (next < 0) {
        visitTable(this.tables[-1 - next]!, base, visit);
        continue;
      }
      if (next !== normalEnd || this.nextAbnormal[bucket - this.from] !== abnormalEnd)
        throw changedBetweenPasses();
      const normalStart = normalEnd - this.counts.normal[bucket]!;
      const abnormalStart = abnormalEnd - this.counts.abnormal[bucket]!;
      const pixels = normalEnd - normalStart + abnormalEnd - abnormalStart;
      if (pixels > FEW) this.count(normalStart, normalEnd, abnormalStart, abnormalEnd, base, visit);
      else if (pixels > 0) this.sort(normalStart, normalEnd, abnormalStart, abnormalEnd, base, visit);
      normalEnd = normalStart;
      abnormalEnd = abnormalStart;
    }
  }

  private count(
    normalStart: number,
    normalEnd: number,
    abnormalStart: number,
    abnormalEnd: number,
    base: number,
    visit: Visit,
  ): void {
    const { scratch, normals, abnormals, sizes } = this;
    scratch.fill(0);
    for (let i = normalStart; i < normalEnd; i++) scratch[3 * normals[i]!]!++;
    for (let i = abnormalStart; i < abnormalEnd; i++) {
      const at = 3 * abnormals[i]!;
      scratch[at + 1]!++;
      scratch[at + 2]! += 1 / sizes[i]!;
    }
    visitTable(scratch, base, visit);
  }

  private sort(
    normalStart: number,
    normalEnd: number,
    abnormalStart: number,
    abnormalEnd: number,
    base: number,
    visit: Visit,
  ): void {
    const normals = this.normals.subarray(normalStart, normalEnd).sort();
    // Key and size in one number, so that a native sort moves both.
    const abnormals = new Float64Array(abnormalEnd - abnormalStart);
    for (let i = 0; i < abnormals.length; i++) {
      abnormals[i] = this.abnormals[abnormalStart + i]! * 2 ** 32 + this.sizes[abnormalStart + i]!;
    }
    abnormals.sort();
    let n = normals.length - 1;
    let a = abnormals.length - 1;
    while (n >= 0 || a >= 0) {
      const low = Math.max(n >= 0 ? normals[n]! : -1, a >= 0 ? Math.floor(abnormals[a]! / 2 ** 32) : -1);
      let normalCount = 0;
      let abnormalCount = 0;
      let covered = 0;
      for (; n >= 0 && normals[n] === low; n--) normalCount++;
      for (; a >= 0 && abnormals[a]! >= low * 2 ** 32; a--) {
        abnormalCount++;
        covered += 1 / (abnormals[a]! - low * 2 ** 32);
      }
      visit(base + low, normalCount, abnormalCount, covered);
    }
  }
}

function visitTable(table: Float64Array, base: number, visit: Visit): void {
  for (let low = KEYS - 1; low >= 0; low--) {
    const normals = table[3 * low]!;
    const abnormals = table[3 * low + 1]!;
    if (normals > 0 || abnormals > 0) visit(base + low, normals, abnormals, table[3 * low + 2]!);
  }
}
