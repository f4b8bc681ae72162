/**
 * Keeps what the frozen blocks before the first adapter make of each image: images are fixed, so they pass once. Entries
 * stay on the device while there is room, the rest goes to a spill (a file, Blobs), and without one is computed again.
 */
import type { Spill } from '../model/spill';
import type { Gpu } from '../runtime/device';
import type { DeviceSlice } from '../runtime/executable';

export interface FeatureCacheOptions {
  /** Bytes of one entry; a multiple of 4. */
  readonly entryBytes: number;
  /** Bytes that entries may take on the device. */
  readonly deviceBytes: number;
  /** Most entries that are asked for at once. */
  readonly batch: number;
  /** Entries that will ever be asked for. */
  readonly items: number;
}

/** Largest buffer that entries share, bytes. */
const CHUNK_BYTES = 128 * 1024 * 1024;

/** Computes the features of `items` into `slices`, one each. */
export type ComputeFeatures = (items: readonly number[], slices: readonly DeviceSlice[]) => Promise<void>;

export class FeatureCache {
  readonly #resident = new Map<number, DeviceSlice>();
  readonly #spilled = new Set<number>();
  readonly #chunks: GPUBuffer[] = [];
  readonly #perChunk: number;
  readonly #most: number;
  /** Places that were claimed and given back. */
  readonly #vacant: DeviceSlice[] = [];
  #claimed = 0;
  #window: GPUBuffer | undefined;

  constructor(
    private readonly gpu: Gpu,
    private readonly options: FeatureCacheOptions,
    private readonly spill?: Spill,
  ) {
    const { entryBytes, deviceBytes, items } = options;
    this.#most = Math.min(items, Math.floor(deviceBytes / entryBytes));
    const fitting = Math.floor(Math.min(CHUNK_BYTES, gpu.caps.maxBufferBytes) / entryBytes);
    this.#perChunk = Math.max(1, Math.min(fitting, this.#most));
  }

  /** Entries that fit the device. */
  get residentCapacity(): number {
    return this.#most;
  }

  /** Whether nothing will be computed any more. */
  get complete(): boolean {
    return this.#resident.size + this.#spilled.size === this.options.items;
  }

  /** Which of `items` have no features yet. */
  missing(items: readonly number[]): number[] {
    return [...new Set(items)].filter((item) => !this.#resident.has(item) && !this.#spilled.has(item));
  }

  /** The features of `items`, one slice each, valid until the next call. Missing ones are computed, all at once. */
  async slices(items: readonly number[], compute: ComputeFeatures): Promise<DeviceSlice[]> {
    const places = new Map<number, DeviceSlice>();
    const transient: number[] = [];
    const missing = this.missing(items);
    for (const item of new Set(items)) {
      const resident =
        this.#resident.get(item) ?? (missing.includes(item) ? await this.#claim(item) : undefined);
      if (resident) places.set(item, resident);
      else {
        places.set(item, await this.#windowSlice(transient.length));
        transient.push(item);
      }
    }
    for (const item of transient) {
      if (!this.#spilled.has(item)) continue;
      const { buffer, offset } = places.get(item)!;
      this.gpu.device.queue.writeBuffer(buffer, offset, await this.spill!.read(item));
    }
    if (missing.length > 0) {
      try {
        await compute(
          missing,
          missing.map((item) => places.get(item)!),
        );
      } catch (error) {
        // What was claimed and not filled must not pass for features.
        for (const item of missing) this.#free(item);
        throw error;
      }
      for (const item of missing) if (!this.#resident.has(item)) await this.#store(item, places.get(item)!);
    }
    return items.map((item) => places.get(item)!);
  }

  async destroy(): Promise<void> {
    this.gpu.release([...this.#chunks, ...(this.#window ? [this.#window] : [])]);
    await this.spill?.close();
  }

  async #claim(item: number): Promise<DeviceSlice | undefined> {
    const vacant = this.#vacant.pop();
    if (vacant) {
      this.#resident.set(item, vacant);
      return vacant;
    }
    if (this.#claimed >= this.#most) return undefined;
    const index = this.#claimed++;
    const chunk = Math.floor(index / this.#perChunk);
    const { entryBytes } = this.options;
    this.#chunks[chunk] ??= await this.#allocate(`features ${chunk}`, this.#perChunk);
    const slice = {
      buffer: this.#chunks[chunk]!,
      offset: (index % this.#perChunk) * entryBytes,
      bytes: entryBytes,
    };
    this.#resident.set(item, slice);
    return slice;
  }

  #free(item: number): void {
    const slice = this.#resident.get(item);
    if (!slice) return;
    this.#resident.delete(item);
    this.#vacant.push(slice);
  }

  async #windowSlice(index: number): Promise<DeviceSlice> {
    const { entryBytes, batch } = this.options;
    this.#window ??= await this.#allocate('features of a batch', batch);
    return { buffer: this.#window, offset: index * entryBytes, bytes: entryBytes };
  }

  async #store(item: number, { buffer, offset, bytes }: DeviceSlice): Promise<void> {
    if (!this.spill) return;
    await this.spill.write(item, await this.gpu.readBytes(buffer, offset, bytes));
    this.#spilled.add(item);
  }

  async #allocate(label: string, entries: number): Promise<GPUBuffer> {
    const usage = 0x0008 | 0x0004; // COPY_DST | COPY_SRC
    return (await this.gpu.allocate([{ label, bytes: entries * this.options.entryBytes, usage }]))[0]!;
  }
}
