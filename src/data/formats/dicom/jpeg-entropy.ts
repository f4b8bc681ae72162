/** The entropy-coded part of a JPEG: Huffman tables and a bit reader that never reads past the data (ITU-T T.81, annex F). */

/** By the next 16 bits: code length * 256 + symbol, 0 where no code begins so. */
export type HuffmanTable = Uint16Array;

/** @param counts codes of 1 to 16 bits. @returns undefined where the lengths cannot be those of a prefix code. */
export function huffmanTable(counts: Uint8Array, symbols: Uint8Array): HuffmanTable | undefined {
  const table = new Uint16Array(65_536);
  let at = 0;
  let symbol = 0;
  for (let length = 1; length <= 16; length++) {
    const span = 1 << (16 - length);
    for (let k = 0; k < counts[length - 1]!; k++) {
      if (at + span > 65_536) return undefined;
      table.fill(length * 256 + symbols[symbol++]!, at, at + span);
      at += span;
    }
  }
  return table;
}

/** Reads bits of a scan up to its next marker. Running out of them is `undefined`, never a zero. */
export class EntropyReader {
  #bits = 0;
  #count = 0;
  /** Zeros at the end of `#bits` that the data does not hold. */
  #padding = 0;

  /** @param at where the scan's data begins. */
  constructor(
    private readonly bytes: Uint8Array,
    public at: number,
  ) {}

  /** The next symbol, or undefined at the end of the data and where no code fits. */
  symbol(table: HuffmanTable): number | undefined {
    if (this.#count < 16) this.#fill();
    const entry = table[(this.#bits >>> (this.#count - 16)) & 0xffff]!;
    this.#count -= entry >>> 8;
    return entry === 0 || this.#count < this.#padding ? undefined : entry & 255;
  }

  /** A signed number of `size` bits, 0 to 15 (T.81, F.2.2.1: RECEIVE and EXTEND). */
  number(size: number): number | undefined {
    if (size === 0) return 0;
    if (this.#count < 16) this.#fill();
    this.#count -= size;
    if (this.#count < this.#padding) return undefined;
    const value = (this.#bits >>> this.#count) & ((1 << size) - 1);
    return value < 1 << (size - 1) ? value - (1 << size) + 1 : value;
  }

  /** Steps over restart marker n (0 to 7). @returns whether it stood there. */
  restart(n: number): boolean {
    this.#bits = 0;
    this.#count = 0;
    this.#padding = 0;
    while (this.bytes[this.at] === 0xff && this.bytes[this.at + 1] === 0xff) this.at++;
    if (this.bytes[this.at] !== 0xff || this.bytes[this.at + 1] !== 0xd0 + n) return false;
    this.at += 2;
    return true;
  }

  #fill(): void {
    while (this.#count <= 24) {
      const byte = this.bytes[this.at];
      const stuffed = byte === 0xff && this.bytes[this.at + 1] === 0;
      if (byte === undefined || (byte === 0xff && !stuffed)) {
        this.#bits <<= 8;
        this.#padding += 8;
      } else {
        this.#bits = (this.#bits << 8) | byte;
        this.at += stuffed ? 2 : 1;
      }
      this.#count += 8;
    }
  }
}
