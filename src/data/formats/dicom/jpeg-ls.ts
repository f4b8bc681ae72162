/**
 * JPEG-LS (ITU-T T.87), lossless and near-lossless, 2 to 16 bits, all three interleavings. Decoded here because the decoder at
 * hand spends many seconds on a cut-off stream of a kilobyte; here its end is an error at once.
 */
import { BadImageError } from '../../../runtime/errors';
import { COPY_AGAIN } from '../../limits';
import type { JpegShape } from './jpeg';

interface Coding {
  readonly most: number;
  readonly near: number;
  readonly thresholds: readonly [number, number, number];
  readonly reset: number;
}

/** Lengths of runs by run index, as powers of two (T.87, A.2.1). */
const RUNS = [
  0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 9, 10, 11, 12, 13, 14, 15,
];
/** Contexts of the regular mode; two more are those of interrupted runs. */
const REGULAR = 365;
const MAX_SEGMENTS = 200;

/**
 * @returns samples [height][width][components].
 * @throws BadImageError when the picture is not of the shape, is damaged, or ends too early.
 */
export function decodeJpegLs(bytes: Uint8Array, shape: JpegShape, name: string): Uint16Array<ArrayBuffer> {
  const { width, height, components } = shape;
  const bad = (detail: string) =>
    new BadImageError(name, `the JPEG-LS inside is damaged or unknown: ${detail}`, COPY_AGAIN);
  if (bytes[0] !== 0xff || bytes[1] !== 0xd8) throw bad('it has no start mark');
  const word = (at: number) => ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
  let ids: number[] | undefined;
  let precision = 0;
  let preset: readonly number[] = [0, 0, 0, 0, 0];
  const waiting = new Set<number>();
  const out = new Uint16Array(width * height * components);
  for (let at = 2, segments = 0; ; ) {
    if (++segments > MAX_SEGMENTS) throw bad(`it has over ${MAX_SEGMENTS} segments`);
    while (bytes[at] === 0xff && bytes[at + 1] === 0xff) at++;
    const marker = bytes[at + 1];
    if (bytes[at] !== 0xff || marker === undefined) throw bad(`no marker stands at byte ${at}`);
    if (marker === 0xd9) throw bad('it ends before its picture does');
    const end = at + 2 + word(at + 2);
    const body = at + 4;
    if (end < body || end > bytes.length) throw bad(`a segment at byte ${at} runs past its end`);
    if (marker === 0xf7) {
      if (ids) throw bad('it has two frame headers');
      precision = bytes[body]!;
      const [rows, columns, count] = [word(body + 1), word(body + 3), bytes[body + 5]];
      if (columns !== width || rows !== height || count !== components || end !== body + 6 + 3 * components) {
        throw new BadImageError(
          name,
          `its header says ${width} x ${height} pixels of ${components} samples, the JPEG-LS inside ${columns} x ${rows} of ${count}`,
          COPY_AGAIN,
        );
      }
      if (precision < 2 || precision > Math.min(shape.bits, 16))
        throw bad(`it has samples of ${precision} bits`);
      ids = Array.from({ length: components }, (_, c) => bytes[body + 6 + 3 * c]!);
      if (new Set(ids).size !== components) throw bad('two components have one name');
      for (const id of ids) waiting.add(id);
    } else if (marker === 0xf8) {
      if (bytes[body] !== 1 || end < body + 11) throw bad('it uses mapping tables or an oversized picture');
      preset = [1, 3, 5, 7, 9].map((o) => word(body + o));
    } else if (marker === 0xdd) {
      if (bytes.subarray(body, end).some((v) => v !== 0)) throw bad('restart marks are not supported');
    } else if (marker === 0xda) {
      if (!ids) throw bad('it has a scan before its frame header');
      const count = bytes[body] ?? 0;
      if (count < 1 || end !== body + 4 + 2 * count) throw bad('a scan header is damaged');
      const parts = Array.from({ length: count }, (_, k) => {
        const id = bytes[body + 1 + 2 * k]!;
        if (!waiting.delete(id)) throw bad('a scan names a component that is not there');
        return ids!.indexOf(id);
      });
      const [near, interleave, shift] = bytes.subarray(end - 3, end) as unknown as number[];
      if (interleave! > 2 || (interleave === 0 && count > 1)) throw bad('a scan header is damaged');
      if (shift !== 0) throw bad('a point transform is not supported');
      const coding = codingOf(precision, near!, preset);
      if (!coding) throw bad('its coding parameters cannot be');
      const scan = new Scan(bytes, end, coding, shape, out, () => bad('its data is cut off or damaged'));
      scan.decode(parts, interleave === 2);
      if (waiting.size === 0) return out;
      at = scan.next();
      continue;
    } else if (
      marker === 0xe8 &&
      String.fromCharCode(...bytes.subarray(body, body + 4)) === 'mrfx' &&
      bytes[body + 4] !== 0
    ) {
      throw bad('its colour transform is not supported');
    } else if (marker < 0xe0) throw bad(`marker 0xff${marker.toString(16)} is not supported`);
    at = end;
  }
}

/** T.87, C.2.4.1: what the file sets, else defaults. Undefined where the numbers contradict each other. */
function codingOf(precision: number, near: number, preset: readonly number[]): Coding | undefined {
  const [maximum, t1, t2, t3, reset] = preset as [number, number, number, number, number];
  const most = maximum === 0 ? 2 ** precision - 1 : maximum;
  if (most >= 2 ** precision || near > Math.min(255, most >> 1)) return undefined;
  const clamp = (value: number, low: number) => (value > most || value < low ? low : value);
  let defaults: [number, number, number];
  if (most >= 128) {
    const factor = (Math.min(most, 4095) + 128) >> 8;
    defaults = [factor + 2 + 3 * near, 4 * factor + 3 + 5 * near, 17 * factor + 4 + 7 * near];
  } else {
    const factor = Math.floor(256 / (most + 1));
    const scaled = (value: number, low: number) => Math.max(low, Math.floor(value / factor));
    defaults = [
      Math.max(2, scaled(3, 0) + 3 * near),
      Math.max(3, scaled(7, 0) + 5 * near),
      Math.max(4, scaled(21, 0) + 7 * near),
    ];
  }
  const first = t1 || clamp(defaults[0], near + 1);
  const second = t2 || clamp(defaults[1], first);
  const third = t3 || clamp(defaults[2], second);
  if (!(near < first && first <= second && second <= third && third <= most)) return undefined;
  return { most, near, thresholds: [first, second, third], reset: reset || 64 };
}

/** One scan: its own contexts, its own bits. */
class Scan {
  readonly #a = new Int32Array(REGULAR + 2);
  readonly #b = new Int32Array(REGULAR);
  readonly #c = new Int32Array(REGULAR);
  readonly #n = new Int32Array(REGULAR + 2).fill(1);
  readonly #negative = new Int32Array(2);
  readonly #step: number;
  readonly #span: number;
  readonly #valueBits: number;
  readonly #limit: number;
  #bits = 0;
  #count = 0;
  #stuffed = false;

  constructor(
    private readonly bytes: Uint8Array,
    private at: number,
    private readonly coding: Coding,
    private readonly shape: JpegShape,
    private readonly out: Uint16Array,
    private readonly cutOff: () => BadImageError,
  ) {
    const { most, near } = coding;
    this.#step = 2 * near + 1;
    const range = Math.floor((most + 2 * near) / this.#step) + 1;
    this.#span = range * this.#step;
    this.#valueBits = Math.ceil(Math.log2(range));
    const bits = Math.max(2, Math.ceil(Math.log2(most + 1)));
    this.#limit = 2 * (bits + Math.max(8, bits));
    this.#a.fill(Math.max(2, (range + 32) >> 6));
  }

  /** @param parts which components, interleaved by line or, where `bySample`, by pixel. */
  decode(parts: readonly number[], bySample: boolean): void {
    const { width, height, components } = this.shape;
    // One more on each side: [0] is what lies left of a line, [width + 1] right of the line above.
    const lines = parts.map(() => ({
      above: new Int32Array(width + 2),
      here: new Int32Array(width + 2),
      run: 0,
    }));
    const groups = bySample ? [lines] : lines.map((line) => [line]);
    for (let y = 0; y < height; y++) {
      for (const group of groups) this.#line(group, width);
      for (const [k, line] of lines.entries()) {
        for (let x = 0, o = y * width * components + parts[k]!; x < width; x++, o += components) {
          this.out[o] = line.here[x + 1]!;
        }
        [line.above, line.here] = [line.here, line.above];
      }
    }
  }

  /** Where the marker after the data stands. */
  next(): number {
    let at = this.at;
    while (at < this.bytes.length - 1 && !(this.bytes[at] === 0xff && this.bytes[at + 1]! >= 0x80)) at++;
    return at;
  }

  #line(group: { above: Int32Array; here: Int32Array; run: number }[], width: number): void {
    const { near } = this.coding;
    const [first] = group as [(typeof group)[0]];
    for (const line of group) {
      line.above[width + 1] = line.above[width]!;
      line.here[0] = line.above[1]!;
    }
    for (let x = 1; x <= width; ) {
      let flat = true;
      for (const { above, here } of group) {
        const [a, b, c, d] = [here[x - 1]!, above[x]!, above[x - 1]!, above[x + 1]!];
        if (Math.abs(d - b) > near || Math.abs(b - c) > near || Math.abs(c - a) > near) flat = false;
      }
      if (!flat) {
        for (const { above, here } of group) {
          here[x] = this.#regular(here[x - 1]!, above[x]!, above[x - 1]!, above[x + 1]!);
        }
        x++;
        continue;
      }
      // A run: each 1 is a whole piece of it, then 0 and what is left over (A.7.1).
      let length = 0;
      const rest = width - x + 1;
      let ended = false;
      while (!ended && this.#read(1) === 1) {
        const piece = 1 << RUNS[first.run]!;
        const taken = Math.min(piece, rest - length);
        length += taken;
        ended = length === rest;
        if (taken === piece && first.run < 31) first.run++;
      }
      if (!ended) {
        length += this.#read(RUNS[first.run]!);
        if (length >= rest) throw this.cutOff();
      }
      for (const { here } of group) here.fill(here[x - 1]!, x, x + length);
      x += length;
      if (ended) continue;
      const single = group.length === 1;
      for (const { above, here } of group)
        here[x] = this.#interruption(here[x - 1]!, above[x]!, RUNS[first.run]!, single);
      if (first.run > 0) first.run--;
      x++;
    }
  }

  /** A.3 to A.6: prediction by the median of edges, its error by the context's Golomb code. */
  #regular(a: number, b: number, c: number, d: number): number {
    const { near, reset } = this.coding;
    let context = 81 * this.#quantised(d - b) + 9 * this.#quantised(b - c) + this.#quantised(c - a);
    const sign = context < 0 ? -1 : 1;
    context *= sign;
    const A = this.#a;
    const B = this.#b;
    const C = this.#c;
    const N = this.#n;
    let predicted = c >= Math.max(a, b) ? Math.min(a, b) : c <= Math.min(a, b) ? Math.max(a, b) : a + b - c;
    predicted = this.#clamped(predicted + sign * C[context]!);
    const k = this.#golomb(A[context]!, N[context]!);
    const mapped = this.#code(k, this.#limit);
    let error = mapped & 1 ? -((mapped + 1) >> 1) : mapped >> 1;
    if (near === 0 && k === 0 && 2 * B[context]! <= -N[context]!) error = -error - 1;
    A[context]! += Math.abs(error);
    B[context]! += error * this.#step;
    if (N[context] === reset) {
      A[context]! >>= 1;
      B[context]! >>= 1;
      N[context]! >>= 1;
    }
    const n = ++N[context]!;
    if (B[context]! <= -n) {
      B[context] = Math.max(B[context]! + n, 1 - n);
      if (C[context]! > -128) C[context]!--;
    } else if (B[context]! > 0) {
      B[context] = Math.min(B[context]! - n, 0);
      if (C[context]! < 127) C[context]!++;
    }
    return this.#rebuilt(predicted, sign * error);
  }

  /** A.7.2: the sample that ends a run. @param single of one component, which alone may use the second context. */
  #interruption(a: number, b: number, runBits: number, single: boolean): number {
    const { near, reset } = this.coding;
    const type = single && Math.abs(a - b) <= near ? 1 : 0;
    const context = REGULAR + type;
    const A = this.#a;
    const N = this.#n;
    const negative = this.#negative;
    const k = this.#golomb(type === 1 ? A[context]! + (N[context]! >> 1) : A[context]!, N[context]!);
    const mapped = this.#code(k, this.#limit - runBits - 1);
    const sum = mapped + type;
    const size = (sum + 1) >> 1;
    const minus = (k !== 0 || 2 * negative[type]! >= N[context]!) === ((sum & 1) === 1);
    const error = minus ? -size : size;
    if (error < 0) negative[type]!++;
    A[context]! += (mapped + 1 - type) >> 1;
    if (N[context] === reset) {
      A[context]! >>= 1;
      N[context]! >>= 1;
      negative[type]! >>= 1;
    }
    N[context]!++;
    return type === 1 ? this.#rebuilt(a, error) : this.#rebuilt(b, a > b ? -error : error);
  }

  #quantised(difference: number): number {
    const { near, thresholds } = this.coding;
    const size = Math.abs(difference);
    if (size <= near) return 0;
    const [first, second, third] = thresholds;
    const level = size < first ? 1 : size < second ? 2 : size < third ? 3 : 4;
    return difference < 0 ? -level : level;
  }

  #clamped(value: number): number {
    return Math.min(Math.max(value, 0), this.coding.most);
  }

  /** A.4.5 and A.8: errors wrap around the range. */
  #rebuilt(predicted: number, error: number): number {
    const { near, most } = this.coding;
    let value = predicted + error * this.#step;
    if (value < -near) value += this.#span;
    else if (value > most + near) value -= this.#span;
    return this.#clamped(value);
  }

  /** A.5.1 */
  #golomb(a: number, n: number): number {
    let k = 0;
    while (n * 2 ** k < a) k++;
    return k;
  }

  /** A.5.3: a Golomb code of limited length. */
  #code(k: number, limit: number): number {
    const longest = limit - this.#valueBits - 1;
    let high = 0;
    for (;;) {
      if (this.#count === 0) this.#fill();
      const zeros = Math.min(Math.clz32(this.#bits << (32 - this.#count)), this.#count);
      high += zeros;
      this.#count -= zeros;
      if (high > longest) throw this.cutOff();
      if (this.#count === 0) continue;
      this.#count--;
      break;
    }
    const value = high < longest ? high * 2 ** k + this.#read(k) : this.#read(this.#valueBits) + 1;
    // Errors are below the range, doubled for their sign.
    if (value > 2 * this.#span + 1) throw this.cutOff();
    return value;
  }

  /** The next `count` bits, up to 24. @throws at the data's end. */
  #read(count: number): number {
    if (count > 24) throw this.cutOff();
    while (this.#count < count) this.#fill();
    this.#count -= count;
    return (this.#bits >>> this.#count) & ((1 << count) - 1);
  }

  /** One byte more; after a byte 0xff the next one begins with a stuffed 0, which does not count. */
  #fill(): void {
    const byte = this.bytes[this.at];
    if (byte === undefined || (this.#stuffed && byte >= 0x80)) throw this.cutOff();
    if (!this.#stuffed && byte === 0xff && (this.bytes[this.at + 1] ?? 0xff) >= 0x80) throw this.cutOff();
    const width = this.#stuffed ? 7 : 8;
    this.#bits = ((this.#bits & 0xffffff) << width) | byte;
    this.#count += width;
    this.#stuffed = byte === 0xff;
    this.at++;
  }
}
