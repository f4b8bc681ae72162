/** Values of data elements as numbers and code strings. */
import { BadImageError } from '../../../runtime/errors';
import { type DataElement, type DataSet, tagName } from './elements';

/** One data set, read as its encoding says. Values that cannot be what they claim are BadImageError. */
export class Attributes {
  constructor(
    private readonly set: DataSet,
    private readonly name: string,
    private readonly little: boolean,
  ) {}

  element(tag: number): DataElement | undefined {
    return this.set.get(tag);
  }

  /** The items of a sequence; none where it is absent. */
  items(tag: number): Attributes[] {
    return (this.set.get(tag)?.items ?? []).map((item) => new Attributes(item, this.name, this.little));
  }

  /** The first few values of US or SS; none where it is absent. */
  shorts(tag: number, signed = false): number[] {
    const words = [...this.words(tag, 4)];
    return signed ? words.map((word) => (word << 16) >> 16) : words;
  }

  /** Up to `most` words of 16 bits. */
  words(tag: number, most: number): Uint16Array {
    const bytes = this.set.get(tag)?.bytes ?? new Uint8Array(0);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return Uint16Array.from({ length: Math.min(most, bytes.length >> 1) }, (_, i) =>
      view.getUint16(2 * i, this.little),
    );
  }

  short(tag: number): number | undefined {
    return this.shorts(tag)[0];
  }

  /** @throws BadImageError when it is absent. */
  requiredShort(tag: number, what: string): number {
    const value = this.short(tag);
    if (value === undefined)
      throw new BadImageError(this.name, `the DICOM file lacks ${what} ${tagName(tag)}`);
    return value;
  }

  /** Decimal or integer strings, all finite; undefined where absent or empty. @param most values that are read. */
  decimals(tag: number, most = 16): number[] | undefined {
    const text = this.text(tag, 17 * most);
    if (text === undefined || text === '') return undefined;
    return text
      .split('\\')
      .slice(0, most)
      .map((part) => {
        const value = Number(part);
        if (part.trim() === '' || !Number.isFinite(value)) {
          throw new BadImageError(this.name, `${tagName(tag)} of the DICOM file is not a number`);
        }
        return value;
      });
  }

  /** A code or UID, without padding. Longer text than `most` characters is cut. */
  text(tag: number, most = 64): string | undefined {
    const bytes = this.set.get(tag)?.bytes;
    if (!bytes) return undefined;
    return String.fromCharCode(...bytes.subarray(0, most))
      .replace(/[\0 ]+$/, '')
      .replace(/^ +/, '');
  }
}
