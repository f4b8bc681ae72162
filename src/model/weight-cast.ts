/**
 * Weights that a file stores in another floating-point type than the model keeps: the device converts them. Their bits are uploaded as
 * they are; on the host a conversion costs several times what reading them does.
 */
import { cast } from '../kernels/cast/cast';
import type { BufferStore } from '../runtime/buffer-store';
import { foldGrid } from '../runtime/capabilities';
import { bindGroupOf } from '../runtime/executable';
import { Graph } from '../runtime/graph';
import { type Place, type PlannedDispatch, plan } from '../runtime/plan';
import { BYTES, type Dtype } from '../runtime/tensor-type';

/** Where a storage buffer may be bound, on every adapter. */
const ALIGNMENT = 256;

/** Elements; what is smaller is not worth a submission. */
const LEAST = 64 * 1024;

interface Kernel {
  readonly planned: PlannedDispatch;
  readonly pipeline: GPUComputePipeline;
}

export class WeightCast {
  private constructor(
    private readonly store: BufferStore,
    private readonly kernels: ReadonlyMap<Dtype, Kernel>,
    private readonly most: number,
    /** What waits to be converted. Every conversion overwrites it: the queue keeps the order. */
    private readonly stored: GPUBuffer,
  ) {}

  /**
   * @param wanted types to convert to.
   * @param most elements that are converted at once; even.
   * @throws GpuError, OutOfMemoryError.
   */
  static async create(
    store: BufferStore,
    wanted: ReadonlySet<'f32' | 'f16'>,
    most: number,
  ): Promise<WeightCast> {
    const { gpu } = store;
    const compiled = [...wanted].map(async (to): Promise<[Dtype, Kernel]> => {
      const g = new Graph();
      g.output('y', cast(g, g.input('x', 'u32', [to === 'f16' ? most : most / 2]), to));
      const [planned] = plan(g, gpu.caps).steps[0]!.dispatches;
      const { dispatch, wgsl, layout } = planned!;
      return [to, { planned: planned!, pipeline: await gpu.pipeline(dispatch.kernel.name, wgsl, layout) }];
    });
    const kernels = new Map(await Promise.all(compiled));
    const bytes = most * (wanted.has('f16') ? BYTES.f32 : BYTES.f16);
    const usage = 0x0080 | 0x0008; // STORAGE | COPY_DST
    const [stored] = await gpu.allocate([{ label: 'stored weights', bytes, usage }]);
    return new WeightCast(store, kernels, most, stored!);
  }

  /** Whether `values` are worth converting here, and can be, to be elements from `start` on of a tensor. */
  takes(to: Dtype, values: Float32Array | Uint16Array, start: number): boolean {
    const stays = values instanceof Uint16Array === (to === 'f16');
    const { length } = values;
    const fits = length <= this.most && length % 2 === 0 && (start * BYTES[to]) % ALIGNMENT === 0;
    return this.kernels.has(to) && !stays && length >= LEAST && fits;
  }

  /**
   * As `BufferStore.write`, for what it `takes`.
   * @param values f32 for a tensor in f16, binary16 bits for one in f32.
   */
  async write(
    name: string,
    values: Float32Array<ArrayBuffer> | Uint16Array<ArrayBuffer>,
    start: number,
  ): Promise<void> {
    const { gpu } = this.store;
    const to = values instanceof Uint16Array ? 'f32' : 'f16';
    const { planned, pipeline } = this.kernels.get(to)!;
    const bytes = values.length * BYTES[to];
    await this.store.fill(name, values.byteLength + bytes, ({ buffer }) => {
      const { device } = gpu;
      device.queue.writeBuffer(this.stored, 0, values);
      const from = { buffer: this.stored, size: values.byteLength };
      const into = { buffer, offset: start * BYTES[to], size: bytes };
      const resolve = ({ kind }: Place) => (kind === 'input' ? from : into);
      const encoder = device.createCommandEncoder();
      const pass = encoder.beginComputePass();
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, bindGroupOf(device, pipeline, planned, resolve));
      pass.dispatchWorkgroups(...foldGrid(Math.ceil(values.length / 128), gpu.caps));
      pass.end();
      device.queue.submit([encoder.finish()]);
    });
  }

  destroy(): void {
    this.store.gpu.release([this.stored]);
  }
}
