/**
 * The JPEGs of DICOM that picture libraries lack (ITU-T T.81): lossless (process 14, 2 to 16 bits, annex H) and extended
 * sequential gray of 12 bits (process 2 and 4, annex F). Decoded here because the decoders at hand give a cut-off stream as a
 * picture; here all samples are there or it is an error.
 */
import { BadImageError } from '../../../runtime/errors';
import { COPY_AGAIN } from '../../limits';
import { EntropyReader, type HuffmanTable, huffmanTable } from './jpeg-entropy';

interface Component {
  readonly id: number;
  readonly quantisation: number;
  /** [height * width] */
  readonly samples: Uint16Array;
  decoded: boolean;
}

interface Frame {
  readonly lossless: boolean;
  readonly precision: number;
  readonly width: number;
  readonly height: number;
  readonly components: readonly Component[];
}

/** What the picture has to be. */
export interface JpegShape {
  readonly width: number;
  readonly height: number;
  readonly components: number;
  /** Most bits a sample may have. */
  readonly bits: number;
}

/** A sound file has a handful; each one fills a table. */
const MAX_SEGMENTS = 200;

/** The frame header's mode and bits a sample; undefined where no frame header stands. */
export function jpegMode(bytes: Uint8Array): { mode: number; precision: number } | undefined {
  for (let at = 2, n = 0; at + 5 < bytes.length && n < MAX_SEGMENTS; n++) {
    if (bytes[at] !== 0xff) return undefined;
    const marker = bytes[at + 1]!;
    if (marker === 0xff) {
      at++;
      continue;
    }
    if (marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc) {
      return { mode: marker, precision: bytes[at + 4]! };
    }
    at += 2 + ((bytes[at + 2]! << 8) | bytes[at + 3]!);
  }
  return undefined;
}

/**
 * @returns samples [height][width][components].
 * @throws BadImageError when the picture is not of the shape, is damaged, or ends too early.
 */
export function decodeJpeg(bytes: Uint8Array, shape: JpegShape, name: string): Uint16Array<ArrayBuffer> {
  return new JpegDecoder(bytes, shape, name).decode();
}

class JpegDecoder {
  readonly #dc = new Map<number, HuffmanTable>();
  readonly #ac = new Map<number, HuffmanTable>();
  readonly #quantisation = new Map<number, Uint16Array>();
  #frame: Frame | undefined;
  #restartInterval = 0;

  constructor(
    private readonly bytes: Uint8Array,
    private readonly shape: JpegShape,
    private readonly name: string,
  ) {}

  decode(): Uint16Array<ArrayBuffer> {
    const { bytes } = this;
    if (bytes[0] !== 0xff || bytes[1] !== 0xd8) throw this.#bad('it has no start mark');
    for (let at = 2, segments = 0; ; ) {
      if (++segments > MAX_SEGMENTS) throw this.#bad(`it has over ${MAX_SEGMENTS} segments`);
      while (bytes[at] === 0xff && bytes[at + 1] === 0xff) at++;
      const marker = bytes[at + 1];
      if (bytes[at] !== 0xff || marker === undefined) throw this.#bad(`no marker stands at byte ${at}`);
      if (marker === 0xd9) break;
      const length = ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0);
      const end = at + 2 + length;
      if (length < 2 || end > bytes.length) throw this.#bad(`a segment at byte ${at} runs past its end`);
      const body = bytes.subarray(at + 4, end);
      at = end;
      if (marker === 0xc4) this.#readHuffman(body);
      else if (marker === 0xdb) this.#readQuantisation(body);
      else if (marker === 0xdd) this.#restartInterval = ((body[0] ?? 0) << 8) | (body[1] ?? 0);
      else if (marker === 0xda) at = this.#readScan(body, end);
      else if (marker === 0xc0 || marker === 0xc1 || marker === 0xc3) this.#readFrame(body, marker);
      else if (marker < 0xe0) throw this.#bad(`marker 0xff${marker.toString(16)} is not supported`);
      if (this.#frame?.components.every((c) => c.decoded)) break;
    }
    const frame = this.#frame;
    if (!frame?.components.every((c) => c.decoded)) throw this.#bad('it ends before its picture does');
    const { components } = frame;
    if (components.length === 1) return components[0]!.samples as Uint16Array<ArrayBuffer>;
    const out = new Uint16Array(frame.width * frame.height * components.length);
    for (const [c, { samples }] of components.entries()) {
      for (let i = 0, o = c; i < samples.length; i++, o += components.length) out[o] = samples[i]!;
    }
    return out;
  }

  #readFrame(body: Uint8Array, marker: number): void {
    if (this.#frame) throw this.#bad('it has two frame headers');
    const [precision, h1, h0, w1, w0, count] = body as unknown as number[];
    const [height, width] = [(h1! << 8) | h0!, (w1! << 8) | w0!];
    const { shape } = this;
    if (body.length < 6 || body.length !== 6 + 3 * count!) throw this.#bad('its frame header is damaged');
    if (width !== shape.width || height !== shape.height || count !== shape.components) {
      throw new BadImageError(
        this.name,
        `its header says ${shape.width} x ${shape.height} pixels of ${shape.components} samples, the JPEG inside ${width} x ${height} of ${count}`,
        COPY_AGAIN,
      );
    }
    const lossless = marker === 0xc3;
    if (precision! < 2 || precision! > Math.min(shape.bits, lossless ? 16 : 12)) {
      throw this.#bad(`it has samples of ${precision} bits`);
    }
    if (!lossless && count !== 1) throw this.#bad(`colour of ${precision} bits is not supported`);
    const components = Array.from({ length: count! }, (_, c) => {
      const [id, sampling, quantisation] = body.subarray(6 + 3 * c, 9 + 3 * c) as unknown as number[];
      if (count! > 1 && sampling !== 0x11) throw this.#bad('subsampled colour is not supported');
      const samples = new Uint16Array(width * height);
      return { id: id!, quantisation: quantisation!, samples, decoded: false };
    });
    this.#frame = { lossless, precision: precision!, width, height, components };
  }

  #readHuffman(body: Uint8Array): void {
    for (let at = 0; at < body.length; ) {
      const kind = body[at]!;
      const counts = body.subarray(at + 1, at + 17);
      const total = counts.reduce((a, b) => a + b, 0);
      const symbols = body.subarray(at + 17, at + 17 + total);
      const table = symbols.length === total && total <= 256 ? huffmanTable(counts, symbols) : undefined;
      if (!table || (kind & 15) > 3 || kind >> 4 > 1) throw this.#bad('a Huffman table is damaged');
      (kind >> 4 === 0 ? this.#dc : this.#ac).set(kind & 15, table);
      at += 17 + total;
    }
  }

  #readQuantisation(body: Uint8Array): void {
    for (let at = 0; at < body.length; ) {
      const kind = body[at++]!;
      const wide = kind >> 4 === 1;
      const end = at + (wide ? 128 : 64);
      if (kind >> 4 > 1 || (kind & 15) > 3 || end > body.length)
        throw this.#bad('a quantisation table is damaged');
      this.#quantisation.set(
        kind & 15,
        Uint16Array.from({ length: 64 }, (_, k) =>
          wide ? (body[at + 2 * k]! << 8) | body[at + 2 * k + 1]! : body[at + k]!,
        ),
      );
      at = end;
    }
  }

  /** @returns where the next marker stands. */
  #readScan(body: Uint8Array, from: number): number {
    const frame = this.#frame;
    if (!frame) throw this.#bad('it has a scan before its frame header');
    const count = body[0] ?? 0;
    if (count < 1 || count > 4 || body.length !== 4 + 2 * count) throw this.#bad('a scan header is damaged');
    const parts = Array.from({ length: count }, (_, k) => {
      const [id, tables] = body.subarray(1 + 2 * k, 3 + 2 * k) as unknown as number[];
      const component = frame.components.find((c) => c.id === id && !c.decoded);
      const dc = this.#dc.get(tables! >> 4);
      if (!component || !dc) throw this.#bad('a scan names a component or table that is not there');
      component.decoded = true;
      return { component, dc, ac: this.#ac.get(tables! & 15) };
    });
    const [selection, , low] = body.subarray(1 + 2 * count) as unknown as number[];
    const reader = new EntropyReader(this.bytes, from);
    if (frame.lossless) this.#losslessScan(frame, parts, selection!, low! & 15, reader);
    else {
      const [{ component, dc, ac }] = parts as [(typeof parts)[0]];
      const steps = this.#quantisation.get(component.quantisation);
      if (!ac || !steps) throw this.#bad('a scan names a table that is not there');
      this.#sequentialScan(frame, component.samples, dc, ac, steps, reader);
    }
    // Whatever stands before the next marker are bits that fill up the last byte.
    let at = reader.at;
    while (at < this.bytes.length - 1 && !(this.bytes[at] === 0xff && this.bytes[at + 1]! > 0)) at++;
    return at;
  }

  /** Called after every unit but the last. @returns whether predictions begin anew. */
  #atRestart(done: number, reader: EntropyReader): boolean {
    const interval = this.#restartInterval;
    if (interval === 0 || done % interval !== 0) return false;
    if (!reader.restart((done / interval - 1) & 7)) throw this.#bad('a restart mark is missing');
    return true;
  }

  /** Annex H: each sample is predicted from its left (a), upper (b) and upper left (c) neighbours. */
  #losslessScan(
    { width, height, precision }: Frame,
    parts: readonly { component: Component; dc: HuffmanTable }[],
    predictor: number,
    shift: number,
    reader: EntropyReader,
  ): void {
    if (predictor < 1 || predictor > 7 || shift >= precision) throw this.#bad('its predictor does not exist');
    const middle = 1 << (precision - shift - 1);
    const mask = 0xffff;
    /** Rows above this one are out of reach: it begins after a restart. */
    let top = 0;
    for (let y = 0, done = 0; y < height; y++) {
      for (let x = 0; x < width; x++, done++) {
        let first = done === 0;
        if (done > 0 && this.#atRestart(done, reader)) {
          first = true;
          top = y;
        }
        for (const { component, dc } of parts) {
          const { samples } = component;
          const i = y * width + x;
          const size = reader.symbol(dc);
          const difference =
            size === undefined || size > 16 ? undefined : size === 16 ? 32_768 : reader.number(size);
          if (difference === undefined) throw this.#bad('its data is cut off or damaged');
          let prediction: number;
          if (first) prediction = middle;
          else if (y === top) prediction = x === 0 ? middle : samples[i - 1]!;
          else if (x === 0) prediction = samples[i - width]!;
          else {
            const a = samples[i - 1]!;
            const b = samples[i - width]!;
            const c = samples[i - width - 1]!;
            if (predictor === 1) prediction = a;
            else if (predictor === 2) prediction = b;
            else if (predictor === 3) prediction = c;
            else if (predictor === 4) prediction = a + b - c;
            else if (predictor === 5) prediction = a + ((b - c) >> 1);
            else if (predictor === 6) prediction = b + ((a - c) >> 1);
            else prediction = (a + b) >> 1;
          }
          samples[i] = (prediction + difference) & mask;
        }
      }
    }
    if (shift === 0) return;
    for (const { component } of parts) {
      for (let i = 0; i < component.samples.length; i++) component.samples[i]! <<= shift;
    }
  }

  /** Annex F, one component: blocks of 8 x 8 from left to right, top to bottom. */
  #sequentialScan(
    { width, height, precision }: Frame,
    samples: Uint16Array,
    dc: HuffmanTable,
    ac: HuffmanTable,
    steps: Uint16Array,
    reader: EntropyReader,
  ): void {
    const [across, down] = [Math.ceil(width / 8), Math.ceil(height / 8)];
    const block = new Float64Array(64);
    const most = 2 ** precision - 1;
    let before = 0;
    for (let n = 0; n < across * down; n++) {
      if (n > 0 && this.#atRestart(n, reader)) before = 0;
      block.fill(0);
      const size = reader.symbol(dc);
      const difference = size === undefined || size > 15 ? undefined : reader.number(size);
      if (difference === undefined) throw this.#bad('its data is cut off or damaged');
      before += difference;
      block[0] = before * steps[0]!;
      for (let k = 1; k < 64; k++) {
        const code = reader.symbol(ac);
        if (code === undefined) throw this.#bad('its data is cut off or damaged');
        if (code === 0) break;
        k += code >> 4;
        if (code === 0xf0) continue;
        const value = reader.number(code & 15);
        if (value === undefined || k > 63) throw this.#bad('its data is cut off or damaged');
        block[ZIGZAG[k]!] = value * steps[k]!;
      }
      inverseCosine(block);
      const [x0, y0] = [(n % across) * 8, Math.floor(n / across) * 8];
      for (let y = y0; y < Math.min(y0 + 8, height); y++) {
        for (let x = x0; x < Math.min(x0 + 8, width); x++) {
          const value = Math.round(block[(y - y0) * 8 + x - x0]! + 2 ** (precision - 1));
          samples[y * width + x] = Math.min(Math.max(value, 0), most);
        }
      }
    }
  }

  #bad(detail: string): BadImageError {
    return new BadImageError(this.name, `the JPEG inside is damaged or unknown: ${detail}`, COPY_AGAIN);
  }
}

/** Row-major place of the k-th coefficient (T.81, figure A.6): diagonals, every other one upwards. */
const ZIGZAG = Uint8Array.from(
  Array.from({ length: 64 }, (_, place) => place).sort((p, q) => {
    const [sp, sq] = [(p >> 3) + (p & 7), (q >> 3) + (q & 7)];
    if (sp !== sq) return sp - sq;
    return sp % 2 === 0 ? (q >> 3) - (p >> 3) : (p >> 3) - (q >> 3);
  }),
);

/** [frequency * 8 + place]: C(u) / 2 * cos((2x + 1) u pi / 16) (T.81, A.3.3). */
const COSINES = Float64Array.from({ length: 64 }, (_, i) => {
  const [u, x] = [i >> 3, i & 7];
  return ((u === 0 ? Math.SQRT1_2 : 1) / 2) * Math.cos(((2 * x + 1) * u * Math.PI) / 16);
});

/** In place, rows then columns. */
function inverseCosine(block: Float64Array): void {
  const line = new Float64Array(8);
  for (const [start, step, between] of [
    [0, 1, 8],
    [0, 8, 1],
  ] as const) {
    for (let n = 0; n < 8; n++) {
      const at = start + n * between;
      for (let x = 0; x < 8; x++) {
        let sum = 0;
        for (let u = 0; u < 8; u++) sum += block[at + u * step]! * COSINES[u * 8 + x]!;
        line[x] = sum;
      }
      for (let x = 0; x < 8; x++) block[at + x * step] = line[x]!;
    }
  }
}
