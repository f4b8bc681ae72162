/**
 * DICOM data elements (PS3.5, chapter 7): walks a data set and keeps the elements that pixels and geometry need. All others
 * are stepped over without being read: names of patients never become text here.
 */
import { BadImageError } from '../../../runtime/errors';
import { COPY_AGAIN } from '../../limits';

/** The value of one element. */
export interface DataElement {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Of a sequence. */
  readonly items?: readonly DataSet[];
  /** Of encapsulated pixel data: offset table first, then the pieces of the frames. */
  readonly fragments?: readonly Fragment[];
}

export interface Fragment {
  /** Of its item tag, in bytes from the first byte after the offset table: what offset tables count. */
  readonly offset: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** By tag: group * 65536 + element. */
export type DataSet = ReadonlyMap<number, DataElement>;

export interface Encoding {
  readonly explicit: boolean;
  readonly little: boolean;
}

export const PIXEL_DATA = 0x7fe00010;

/** Sequences that are entered. */
const SEQUENCES: ReadonlySet<number> = new Set([
  0x00283000, // modality LUT
  0x00283010, // VOI LUT
  0x52009229, // shared functional groups
  0x52009230, // per-frame functional groups
  0x00289145, // pixel value transformation
  0x00289132, // frame VOI LUT
  0x00209113, // plane position
  0x00209116, // plane orientation
  0x00289110, // pixel measures
]);

/** Elements that are kept. */
const KEPT: ReadonlySet<number> = new Set([
  ...SEQUENCES,
  0x0020000e, // series instance UID: for grouping, never shown
  0x00200013, // instance number
  0x00200032, // image position (patient)
  0x00200037, // image orientation (patient)
  0x00180050, // slice thickness
  0x00180088, // spacing between slices
  0x00280002, // samples per pixel
  0x00280004, // photometric interpretation
  0x00280006, // planar configuration
  0x00280008, // number of frames
  0x00280010, // rows
  0x00280011, // columns
  0x00280030, // pixel spacing
  0x00280100, // bits allocated
  0x00280101, // bits stored
  0x00280102, // high bit
  0x00280103, // pixel representation
  0x00280120, // pixel padding value
  0x00280121, // pixel padding range limit
  0x00281050, // window centre
  0x00281051, // window width
  0x00281052, // rescale intercept
  0x00281053, // rescale slope
  0x00281056, // VOI LUT function
  0x00281101, // palette descriptors
  0x00281102,
  0x00281103,
  0x00281201, // palette data
  0x00281202,
  0x00281203,
  0x00283002, // LUT descriptor
  0x00283006, // LUT data
  0x7fe00001, // extended offset table
  PIXEL_DATA,
]);

const ITEM = 0xfffee000;
const ITEM_END = 0xfffee00d;
const SEQUENCE_END = 0xfffee0dd;
const UNDEFINED = 0xffffffff;
/** Explicit VRs with a length of 32 bits (PS3.5, table 7.1-1). */
const LONG = new Set(['OB', 'OD', 'OF', 'OL', 'OV', 'OW', 'SQ', 'SV', 'UC', 'UN', 'UR', 'UT', 'UV']);
/** Real files nest about five deep. */
const MAX_DEPTH = 32;
/** An item may take 8 bytes of the file but a Map of memory. */
const MAX_ITEMS = 100_000;
const MAX_FRAGMENTS = 1_000_000;

interface Head {
  readonly tag: number;
  readonly vr: string;
  /** Where the value begins. */
  readonly at: number;
  /** 0xffffffff: up to a delimiter. */
  readonly length: number;
}

/** @throws BadImageError where a length, a tag or the nesting cannot be true. */
export class ElementReader {
  readonly #view: DataView;
  #items = 0;

  constructor(
    private readonly bytes: Uint8Array<ArrayBuffer>,
    private readonly name: string,
    private readonly encoding: Encoding,
  ) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** The elements from byte `from` on while `goOn` holds of their tag, and where they end. */
  read(from: number, goOn: (tag: number) => boolean = () => true, keep: ReadonlySet<number> = KEPT) {
    const set = new Map<number, DataElement>();
    let at = from;
    while (at < this.bytes.length) {
      // What stands after the pixels is padding, signatures, or bytes that fill up a block.
      if (set.has(PIXEL_DATA)) break;
      if (this.bytes.length - at >= 8 && !goOn(this.#tag(at))) break;
      at = this.#element(at, this.bytes.length, set, keep, 0);
    }
    return { set: set as DataSet, end: at };
  }

  /** Reads or skips one element. @returns where the next one begins. */
  #element(
    from: number,
    end: number,
    set: Map<number, DataElement> | null,
    keep: ReadonlySet<number>,
    depth: number,
  ): number {
    const head = this.#head(from, end);
    const { tag, at, length } = head;
    if (tag >>> 16 === 0xfffe) throw this.#bad('a delimiter stands where none belongs', from);
    const wanted = set !== null && keep.has(tag);
    if (wanted && set.has(tag)) throw this.#bad(`element ${tagName(tag)} stands there twice`, from);
    if (length !== UNDEFINED) {
      if (!wanted) return at + length;
      const bytes = this.bytes.subarray(at, at + length);
      if (!SEQUENCES.has(tag)) set.set(tag, { bytes });
      else {
        const items: DataSet[] = [];
        this.#sequence(at, at + length, false, items, keep, depth + 1);
        set.set(tag, { bytes, items });
      }
      return at + length;
    }
    if (wanted && tag === PIXEL_DATA) {
      const { fragments, next } = this.#fragments(at, end);
      set.set(tag, { bytes: this.bytes.subarray(at, next), fragments });
      return next;
    }
    const items: DataSet[] | null = wanted && SEQUENCES.has(tag) ? [] : null;
    // Of unknown VR and undefined length: implicit VR, little endian, whatever the rest is (PS3.5, 6.2.2).
    const reader =
      head.vr === 'UN'
        ? new ElementReader(this.bytes, this.name, { explicit: false, little: true })
        : (this as ElementReader);
    const next = reader.#sequence(at, end, true, items, keep, depth + 1);
    if (items) set!.set(tag, { bytes: this.bytes.subarray(at, next), items });
    return next;
  }

  /** @param items takes the items' elements; null: they are stepped over. @returns where the sequence ends. */
  #sequence(
    from: number,
    end: number,
    delimited: boolean,
    items: DataSet[] | null,
    keep: ReadonlySet<number>,
    depth: number,
  ): number {
    if (depth > MAX_DEPTH) {
      throw this.#bad(`sequences are nested over ${MAX_DEPTH} deep`, from, 'No sound DICOM file is.');
    }
    let at = from;
    while (at < end) {
      const { tag, length, at: value } = this.#head(at, end);
      if (tag === SEQUENCE_END && delimited) return value;
      if (tag !== ITEM) throw this.#bad('a sequence holds something that is no item', at);
      if (items && ++this.#items > MAX_ITEMS) {
        throw this.#bad(`it has over ${MAX_ITEMS} sequence items`, at, 'Split the file.');
      }
      const set = items ? new Map<number, DataElement>() : null;
      if (length !== UNDEFINED) {
        if (set) {
          for (let inner = value; inner < value + length; ) {
            inner = this.#element(inner, value + length, set, keep, depth);
          }
        }
        at = value + length;
      } else {
        at = value;
        for (;;) {
          if (at >= end) throw this.#bad('a sequence item has no end', value);
          const inner = this.#head(at, end);
          if (inner.tag === ITEM_END) {
            at = inner.at;
            break;
          }
          at = this.#element(at, end, set, keep, depth);
        }
      }
      if (set) items!.push(set);
    }
    if (delimited) throw this.#bad('a sequence has no end', from);
    return end;
  }

  #fragments(from: number, end: number): { fragments: Fragment[]; next: number } {
    const fragments: Fragment[] = [];
    let first = from;
    for (let at = from; ; ) {
      if (at >= end) throw this.#bad('the pixel data ends without its end mark', at);
      const { tag, length, at: value } = this.#head(at, end);
      if (tag === SEQUENCE_END) return { fragments, next: value };
      if (tag !== ITEM || length === UNDEFINED) {
        throw this.#bad('the compressed pixel data holds something that is no fragment', at);
      }
      if (fragments.length >= MAX_FRAGMENTS) {
        throw this.#bad(`the pixel data has over ${MAX_FRAGMENTS} fragments`, at, 'Split the file.');
      }
      if (fragments.length === 0) first = value + length;
      fragments.push({ offset: at - first, bytes: this.bytes.subarray(value, value + length) });
      at = value + length;
    }
  }

  #head(from: number, end: number): Head {
    if (from + 8 > end) throw this.#bad('it ends inside an element', from);
    const view = this.#view;
    const { explicit, little } = this.encoding;
    const tag = this.#tag(from);
    let vr = '';
    let at = from + 8;
    let length: number;
    if (explicit && tag >>> 16 !== 0xfffe) {
      vr = String.fromCharCode(view.getUint8(from + 4), view.getUint8(from + 5));
      if (!/^[A-Z]{2}$/.test(vr)) throw this.#bad(`element ${tagName(tag)} names no value type`, from);
      if (LONG.has(vr)) {
        at = from + 12;
        if (at > end) throw this.#bad('it ends inside an element', from);
        length = view.getUint32(from + 8, little);
      } else length = view.getUint16(from + 6, little);
    } else length = view.getUint32(from + 4, little);
    if (length !== UNDEFINED && at + length > end) {
      throw this.#bad(`element ${tagName(tag)} runs past the end`, from);
    }
    return { tag, vr, at, length };
  }

  #tag(at: number): number {
    const { little } = this.encoding;
    return this.#view.getUint16(at, little) * 65_536 + this.#view.getUint16(at + 2, little);
  }

  #bad(detail: string, at: number, remedy = COPY_AGAIN): BadImageError {
    return new BadImageError(this.name, `the DICOM file is damaged: ${detail} (at byte ${at})`, remedy);
  }
}

/** (gggg,eeee) */
export function tagName(tag: number): string {
  const hex = tag.toString(16).padStart(8, '0');
  return `(${hex.slice(0, 4)},${hex.slice(4)})`;
}
