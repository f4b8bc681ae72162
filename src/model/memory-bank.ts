/**
 * The memory bank of few-shot scoring on a device. Where it fits a budget its tiles stay there and are searched within the
 * model's own graph; else they are uploaded one after another for each batch of images, which is slow and works.
 */
import { BufferStore } from '../runtime/buffer-store';
import type { Gpu, Precision } from '../runtime/device';
import { OutOfMemoryError } from '../runtime/errors';
import { BYTES } from '../runtime/tensor-type';
import { type BankLayout, tileName } from './memory-bank-maps';
import { type BankSource, spilledRows } from './memory-bank-source';
import type { Spill } from './spill';

/** Where nothing is said: WebGPU does not tell how much memory a device has. */
export const BANK_BUDGET = 2 * 1024 ** 3;

/** Largest tile that is uploaded again and again, bytes. */
const STREAMED_TILE = 32 * 1024 * 1024;

export interface MemoryBankOptions {
  readonly precision: Precision;
  /** Bytes that the bank may take on the device; `BANK_BUDGET` unless told. */
  readonly budget?: number;
  /** Rows of one image version: what spilled entries hold. */
  readonly entryRows: number;
  /** Takes rows that can be had only once and have no room on the device. */
  readonly openSpill: (entryBytes: number) => Promise<Spill>;
}

export class MemoryBank {
  private constructor(
    readonly layout: BankLayout,
    /** Rows a tensor. */
    readonly rows: number,
    /** The tiles, or one place for all of them. */
    readonly store: BufferStore,
    /** Undefined when all tiles stay on the device. */
    private readonly source: BankSource | undefined,
    private readonly why: string,
  ) {}

  /**
   * Takes over the source, which is closed with the bank, or at once when the device keeps everything.
   * @throws BadFileError, ValueError for rows that are not finite, OutOfMemoryError when not even one tile has room.
   */
  static async create(gpu: Gpu, source: BankSource, options: MemoryBankOptions): Promise<MemoryBank> {
    const { precision, budget = BANK_BUDGET, entryRows, openSpill } = options;
    const { tensors } = source;
    const [rows, cols] = tensors[0]!.shape;
    // f16 is uploaded in pairs of values.
    const dtype = precision === 'f16' && cols % 2 === 0 ? 'f16' : 'f32';
    const rowBytes = cols * BYTES[dtype];
    const most = Math.min(gpu.caps.maxBindingBytes, gpu.caps.maxBufferBytes);
    const layout = layoutOf(rows, rowBytes, most, dtype);
    const bytes = tensors.length * layout.tiles * layout.tileRows * rowBytes;
    let why = `the budget is ${megabytes(budget)}`;
    let store = new BufferStore(gpu);
    let kept: BankSource = source;
    try {
      if (bytes <= budget) {
        const held = await allocateAll(store, source, layout, cols);
        if (held) {
          await fill(store, source, layout);
          await source.close();
          return new MemoryBank(layout, rows, store, undefined, '');
        }
        why = 'the device had no room';
        store = new BufferStore(gpu);
      }
      if (!source.read) kept = await spilledRows(source, entryRows, openSpill);
      const small = layoutOf(
        rows,
        rowBytes,
        Math.min(most, STREAMED_TILE, Math.max(budget, rowBytes)),
        dtype,
      );
      await store.create('tile', { dtype, shape: [small.tileRows, cols] });
      return new MemoryBank(small, rows, store, kept, `${megabytes(bytes)} are needed and ${why}`);
    } catch (error) {
      store.destroy();
      await kept.close();
      throw error;
    }
  }

  /** Whether all tiles stay on the device. */
  get resident(): boolean {
    return this.source === undefined;
  }

  /** What was chosen, in a sentence. */
  describe(): string {
    const { tiles } = this.layout;
    const parts = `${tiles} ${tiles === 1 ? 'tile' : 'tiles'} a stage and head`;
    const rows = this.rows.toLocaleString('en');
    return this.source
      ? `Memory bank: ${rows} rows in ${parts}, uploaded again for every batch of images: ${this.why}.`
      : `Memory bank: ${rows} rows in ${parts}, ${megabytes(this.store.bytes)} on the device.`;
  }

  /** Puts a tile of a tensor (index as in `bankTensors`) into the store's `tile`. Only for a bank that is not resident. */
  async upload(tensor: number, tile: number): Promise<void> {
    const { tileRows } = this.layout;
    const first = Math.min(tile * tileRows, this.rows - tileRows);
    await this.store.write('tile', await this.source!.read!(tensor, first, first + tileRows));
  }

  async destroy(): Promise<void> {
    this.store.destroy();
    await this.source?.close();
  }
}

/** Tiles of one size, as few as may be. The last one reaches back: a row that is looked at twice changes no minimum. */
function layoutOf(rows: number, rowBytes: number, most: number, dtype: BankLayout['dtype']): BankLayout {
  const tiles = Math.ceil(rows / Math.max(1, Math.floor(most / rowBytes)));
  return { dtype, tiles, tileRows: Math.ceil(rows / tiles) };
}

/** Makes room for every tile. @returns false, and nothing is kept, when the device has none. */
async function allocateAll(
  store: BufferStore,
  { tensors }: BankSource,
  { dtype, tiles, tileRows }: BankLayout,
  cols: number,
): Promise<boolean> {
  try {
    for (const { head, stage } of tensors)
      for (let tile = 0; tile < tiles; tile++)
        await store.create(tileName(head, stage, tile), { dtype, shape: [tileRows, cols] });
    return true;
  } catch (error) {
    store.destroy();
    if (error instanceof OutOfMemoryError) return false;
    throw error;
  }
}

async function fill(store: BufferStore, source: BankSource, { tiles, tileRows }: BankLayout): Promise<void> {
  for await (const { tensor, first, rows: values } of source.chunks()) {
    const { head, stage, shape } = source.tensors[tensor]!;
    const [rows, cols] = shape;
    const end = first + values.length / cols;
    for (let tile = 0; tile < tiles; tile++) {
      const start = Math.min(tile * tileRows, rows - tileRows);
      const [from, to] = [Math.max(first, start), Math.min(end, start + tileRows)];
      if (from >= to) continue;
      const part = values.subarray((from - first) * cols, (to - first) * cols);
      await store.write(tileName(head, stage, tile), part, (from - start) * cols);
    }
  }
  await store.flush();
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(bytes < 1e8 ? 1 : 0)} MB`;
}
