/** Named tensors that stay on the GPU across graphs and runs: weights, parameters, optimiser state. */
import type { Gpu } from './device';
import { MlaLpError } from './errors';
import { decodeF16, encodeF16 } from './float16';
import { BYTES, byteSize, describe, sizeOf, type TensorType } from './tensor-type';

/** Uploads are handed over in parts of about this many bytes; two may be underway, so that the implementation's own copies do not pile up. */
const PART_BYTES = 32 * 1024 * 1024;

/** Finds resident tensors by name. */
export interface TensorLookup {
  has(name: string): boolean;
  /** @throws MlaLpError when there is no such tensor. */
  get(name: string): { readonly type: TensorType; readonly buffer: GPUBuffer };
}

/** Looks in several stores, in order: frozen weights shared by models, then a model's own. */
export function lookupIn(...stores: readonly TensorLookup[]): TensorLookup {
  const find = (name: string) => stores.find((store) => store.has(name)) ?? stores[0]!;
  return { has: (name) => find(name).has(name), get: (name) => find(name).get(name) };
}

export class BufferStore implements TensorLookup {
  readonly #entries = new Map<string, { type: TensorType; buffer: GPUBuffer }>();
  #unflushed = 0;
  #converted: ArrayBuffer | undefined;
  /** The part that was handed over last. */
  #underway: Promise<void> = Promise.resolve();

  constructor(readonly gpu: Gpu) {}

  has(name: string): boolean {
    return this.#entries.has(name);
  }

  /** Bytes of all tensors in the store. */
  get bytes(): number {
    let sum = 0;
    for (const { buffer } of this.#entries.values()) sum += buffer.size;
    return sum;
  }

  /** Allocates a tensor (zeroed by WebGPU). */
  create(name: string, type: TensorType): Promise<void> {
    return this.createAll([[name, type]]);
  }

  /** Allocates tensors at once: the device is asked for errors a single time. @throws OutOfMemoryError: then there is none of them. */
  async createAll(tensors: readonly (readonly [name: string, type: TensorType])[]): Promise<void> {
    for (const [name] of tensors)
      if (this.#entries.has(name))
        throw new MlaLpError('bad-value', `The store already has a tensor ${name}.`, '');
    const usage = 0x0080 | 0x0008 | 0x0004; // STORAGE | COPY_DST | COPY_SRC
    const buffers = await this.gpu.allocate(
      tensors.map(([label, type]) => ({ label, bytes: byteSize(type), usage })),
    );
    for (const [i, [name, type]] of tensors.entries()) this.#entries.set(name, { type, buffer: buffers[i]! });
  }

  /**
   * Writes values from element `start` on, converted to the tensor's dtype: f32 values, or binary16 bits. f16 is written in
   * whole 4-byte words: `start` must be even, and so must the length of every write but the last.
   */
  async write(
    name: string,
    values: Float32Array<ArrayBuffer> | Uint16Array<ArrayBuffer>,
    start = 0,
  ): Promise<void> {
    const { type, buffer } = this.get(name);
    const { length } = values;
    if (start + length > sizeOf(type)) {
      throw new MlaLpError(
        'bad-value',
        `${name} ${describe(type)} has no room for ${length} values at ${start}.`,
        '',
      );
    }
    const { queue } = this.gpu.device;
    const halves = values instanceof Uint16Array;
    if (type.dtype === 'f32') {
      const floats = halves
        ? decodeF16(values, new Float32Array(this.#scratch(4 * length), 0, length))
        : values;
      queue.writeBuffer(buffer, start * 4, floats);
    } else if (type.dtype === 'f16') {
      if (start % 2 !== 0 || (length % 2 !== 0 && start + length < sizeOf(type))) {
        throw new MlaLpError(
          'bad-value',
          `${name} ${describe(type)}: ${length} values at ${start} are not whole 4-byte words.`,
          '',
        );
      }
      const even = length + (length & 1);
      if (halves && length === even) queue.writeBuffer(buffer, start * 2, values);
      else {
        const words = new Uint16Array(this.#scratch(2 * even), 0, even);
        words[even - 1] = 0;
        if (halves) words.set(values);
        else encodeF16(values, words);
        queue.writeBuffer(buffer, start * 2, words);
      }
    } else {
      queue.writeBuffer(buffer, start * 4, Uint32Array.from(halves ? decodeF16(values) : values));
    }
    await this.#count(length * Math.max(values.BYTES_PER_ELEMENT, BYTES[type.dtype]));
  }

  /**
   * Has `work` submit what writes to a tensor, and waits as `write` does.
   * @param bytes that it keeps busy meanwhile.
   */
  async fill(
    name: string,
    bytes: number,
    work: (tensor: { readonly buffer: GPUBuffer }) => void,
  ): Promise<void> {
    work(this.get(name));
    await this.#count(bytes);
  }

  /** Memory for converted values, kept until `flush` or `destroy`: always new, it would cost more than the conversion. */
  #scratch(bytes: number): ArrayBuffer {
    if (!this.#converted || this.#converted.byteLength < bytes) this.#converted = new ArrayBuffer(bytes);
    return this.#converted;
  }

  async #count(bytes: number): Promise<void> {
    this.#unflushed += bytes;
    if (this.#unflushed < PART_BYTES) return;
    const before = this.#underway;
    this.#handOver();
    await before;
  }

  /** The tensor's values, widened to f32. @throws DeviceLostError */
  async read(name: string): Promise<Float32Array<ArrayBuffer>> {
    const { type, buffer } = this.get(name);
    const bytes = await this.gpu.readBytes(buffer, 0, byteSize(type));
    const n = sizeOf(type);
    if (type.dtype === 'f32') return new Float32Array(bytes.buffer, 0, n);
    if (type.dtype === 'f16') return decodeF16(new Uint16Array(bytes.buffer, 0, n));
    return Float32Array.from(new Uint32Array(bytes.buffer, 0, n));
  }

  /** Frees one tensor. */
  remove(name: string): void {
    const entry = this.#entries.get(name);
    if (!entry) return;
    this.#entries.delete(name);
    this.gpu.release([entry.buffer]);
  }

  /** Waits until all writes have reached the GPU. */
  async flush(): Promise<void> {
    this.#converted = undefined;
    const before = this.#underway;
    this.#handOver();
    // Both: an error is told to one of those who wait.
    await before;
    await this.#underway;
  }

  #handOver(): void {
    this.#unflushed = 0;
    this.gpu.device.queue.submit([]);
    this.#underway = this.gpu.idle();
    this.#underway.catch(() => {}); // told to who waits for it
  }

  get(name: string): { readonly type: TensorType; readonly buffer: GPUBuffer } {
    const entry = this.#entries.get(name);
    if (!entry) throw new MlaLpError('bad-value', `The store has no tensor ${name}.`, '');
    return entry;
  }

  /** Frees every tensor. */
  destroy(): void {
    this.gpu.release([...this.#entries.values()].map((e) => e.buffer));
    this.#entries.clear();
    this.#converted = undefined;
  }
}
