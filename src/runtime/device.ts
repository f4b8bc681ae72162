/** An opened device: capabilities, guarded promises, buffers with accounting, a pipeline cache and a staging pool. */
import { type AdapterChoice, describeAdapter } from './adapter';
import { type Capabilities, MATRIX_FEATURE, PORTABLE, readCapabilities } from './capabilities';
import {
  DeviceLostError,
  GpuError,
  LimitError,
  MlaLpError,
  OutOfMemoryError,
  UnsupportedFeatureError,
} from './errors';
import type { ShaderLayout } from './reflect';
import { roundUp } from './tensor-type';
import type { Tuning } from './tuned';

const WANTED_FEATURES: readonly GPUFeatureName[] = [
  'shader-f16',
  'subgroups',
  'timestamp-query',
  MATRIX_FEATURE,
];

const WANTED_LIMITS = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxStorageBuffersPerShaderStage',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
  'maxComputeWorkgroupSizeY',
  'maxComputeWorkgroupSizeZ',
  'maxComputeWorkgroupsPerDimension',
] as const;

/** Below these no kernel of ours can run: WebGPU's guaranteed minimum. */
const NEEDED_LIMITS = {
  maxStorageBuffersPerShaderStage: PORTABLE.maxStorageBuffers,
  maxComputeInvocationsPerWorkgroup: PORTABLE.maxInvocations,
  maxComputeWorkgroupStorageSize: PORTABLE.maxWorkgroupStorage,
  maxStorageBufferBindingSize: PORTABLE.maxBindingBytes,
} as const;

export type Precision = 'f32' | 'f16';

export class Gpu {
  readonly info: GPUAdapterInfo;
  /** Whole sentences that a user of this device should read. */
  readonly notes: string[] = [];
  /** Live GPU bytes that this object allocated. */
  allocatedBytes = 0;
  /** Most bytes that were ever live at once. */
  peakBytes = 0;
  #caps: Capabilities;
  #lost: DeviceLostError | undefined;
  /** Reported by the implementation and not thrown yet. */
  #failure: MlaLpError | undefined;
  #latest: MlaLpError | undefined;
  #failures = 0;
  /** Rejects what waits for the device, when it is lost. */
  readonly #waiting = new Set<(reason: DeviceLostError) => void>();
  readonly #pipelines = new Map<string, Promise<GPUComputePipeline>>();
  readonly #staging: GPUBuffer[] = [];

  private constructor(
    readonly choice: AdapterChoice,
    readonly device: GPUDevice,
    /** The tuned table that plans use, if one was found. */
    readonly tuning?: Tuning,
  ) {
    this.info = choice.adapter.info;
    const caps = readCapabilities(device, this.info, choice.software);
    this.#caps = tuning ? { ...caps, tuned: tuning.table } : caps;
    this.notes.push(...(tuning?.notes ?? []));
    device.lost.then((info) => {
      const lost = new DeviceLostError(
        info.reason === 'destroyed'
          ? 'The GPU device was closed.'
          : `The GPU device was lost: ${info.message}`,
      );
      this.#lost = lost;
      for (const reject of this.#waiting) reject(lost);
      this.#waiting.clear();
    });
    device.onuncapturederror = ({ error }) => {
      this.#latest = /memory/i.test(error.message)
        ? new OutOfMemoryError(error.message)
        : new GpuError(error.message);
      this.#failure ??= this.#latest;
      this.#failures++;
    };
  }

  /**
   * Opens a device with the adapter's own limits and every optional feature that the engine can use.
   * @param tuning without it every kernel is chosen by `choose`.
   */
  static async open(choice: AdapterChoice, tuning?: Tuning): Promise<Gpu> {
    const { adapter } = choice;
    for (const [limit, need] of Object.entries(NEEDED_LIMITS)) {
      const have = adapter.limits[limit as keyof typeof NEEDED_LIMITS];
      if (have < need)
        throw new LimitError(limit, need, have, 'Run `mla-lp doctor` to see which adapters are there.');
    }
    const requiredLimits: Record<string, number> = {};
    for (const limit of WANTED_LIMITS) requiredLimits[limit] = adapter.limits[limit];
    const device = await adapter
      .requestDevice({
        label: 'mla-lp',
        requiredFeatures: WANTED_FEATURES.filter((f) => adapter.features.has(f)),
        requiredLimits,
      })
      .catch((cause: unknown) => {
        throw new GpuError(
          `The adapter ${adapter.info.description || adapter.info.vendor} gave no device: ${cause}.`,
          { cause },
        );
      });
    return new Gpu(choice, device, tuning);
  }

  /** What plans may count on. */
  get caps(): Capabilities {
    return this.#caps;
  }

  /**
   * For plans from here on: matrix units that computed wrongly are worse than none.
   * @param component those for factors of this type only.
   */
  withoutMatrixUnits(reason: string, component?: string): void {
    const { matrixConfigs: all } = this.caps;
    const left = all.filter((config) => component !== undefined && config.component !== component);
    if (left.length === all.length) return;
    this.#caps = { ...this.#caps, matrixConfigs: left };
    const which = component === undefined ? '' : ` for ${component}`;
    this.notes.push(`The matrix units of ${this.name}${which} are not used: ${reason}.`);
  }

  /** For plans from here on: one variant of an op that computed wrongly. */
  withoutVariant(op: string, variant: string, reason: string): void {
    this.#caps = { ...this.#caps, refused: [...(this.#caps.refused ?? []), `${op} ${variant}`] };
    this.notes.push(`Variant ${variant} of ${op} is not used on ${this.name}: ${reason}.`);
  }

  /** What the adapter is called on screen. */
  get name(): string {
    return describeAdapter(this.info);
  }

  get isLost(): boolean {
    return this.#lost !== undefined;
  }

  /** Settles like `work`, or rejects with DeviceLostError as soon as the device is lost. */
  async guard<T>(work: Promise<T>): Promise<T> {
    try {
      const value = await this.#orLost(work);
      this.check();
      return value;
    } catch (error) {
      if (error instanceof MlaLpError) throw error;
      // A mapping that fails because the device goes away may fail just before the loss is told.
      await this.#orLost(new Promise<void>((done) => setTimeout(done, 100)));
      throw new GpuError(String(error), { cause: error });
    }
  }

  /** Promise.race with the loss would keep every value for as long as the device lives. */
  #orLost<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#lost) {
        // Nobody else hears of it.
        work.catch(() => {});
        return reject(this.#lost);
      }
      this.#waiting.add(reject);
      work.then(resolve, reject).finally(() => this.#waiting.delete(reject));
    });
  }

  /** @throws the loss of the device, or an error that the implementation reported meanwhile. */
  check(): void {
    if (this.#lost) throw this.#lost;
    const failure = this.#failure;
    this.#failure = undefined;
    if (failure) throw failure;
  }

  /** Errors that the implementation has reported so far, for `checkSince`. */
  get failures(): number {
    return this.#failures;
  }

  /**
   * For work that overlaps with other work, which may have been told of its errors.
   * @param before what `failures` was when the work began. @throws the latest error that was reported since.
   */
  checkSince(before: number): void {
    if (this.#failures > before) throw this.#latest!;
  }

  /** @throws UnsupportedFeatureError when the device cannot store and compute in this precision. */
  requirePrecision(precision: Precision): void {
    if (precision === 'f16' && !this.caps.f16) {
      throw new UnsupportedFeatureError(
        `--precision f16 needs the WebGPU feature shader-f16, which ${this.name} does not have.`,
        'Use --precision f32.',
      );
    }
  }

  /** Allocates buffers together. @throws OutOfMemoryError, LimitError; nothing is kept then. */
  async allocate(requests: readonly { label: string; bytes: number; usage: number }[]): Promise<GPUBuffer[]> {
    this.check();
    for (const { label, bytes } of requests) {
      if (bytes > this.caps.maxBufferBytes) {
        throw new LimitError(
          'maxBufferSize',
          bytes,
          this.caps.maxBufferBytes,
          `Buffer ${label} is too large for this device.`,
        );
      }
    }
    this.device.pushErrorScope('out-of-memory');
    this.device.pushErrorScope('validation');
    const buffers = requests.map(({ label, bytes, usage }) =>
      this.device.createBuffer({ label, size: roundUp(Math.max(bytes, 16), 16), usage }),
    );
    const scopes = [this.device.popErrorScope(), this.device.popErrorScope()];
    const destroyAll = () => {
      for (const buffer of buffers) buffer.destroy();
    };
    const [validation, memory] = await this.guard(Promise.all(scopes)).catch((error: unknown) => {
      destroyAll();
      throw error;
    });
    if (memory || validation) {
      destroyAll();
      const total = requests.reduce((sum, r) => sum + r.bytes, 0);
      if (memory)
        throw new OutOfMemoryError(
          `The device could not allocate ${(total / 1e6).toFixed(1)} MB: ${memory.message}.`,
        );
      throw new GpuError(validation!.message);
    }
    for (const buffer of buffers) this.allocatedBytes += buffer.size;
    this.peakBytes = Math.max(this.peakBytes, this.allocatedBytes);
    return buffers;
  }

  /** Destroys buffers from `allocate`. */
  release(buffers: Iterable<GPUBuffer>): void {
    for (const buffer of buffers) {
      this.allocatedBytes -= buffer.size;
      buffer.destroy();
    }
  }

  /** The compute pipeline of this exact WGSL text, compiled once. */
  pipeline(label: string, wgsl: string, layout: ShaderLayout): Promise<GPUComputePipeline> {
    let pipeline = this.#pipelines.get(wgsl);
    if (!pipeline) {
      pipeline = this.guard(this.#compile(label, wgsl, layout));
      pipeline.catch(() => this.#pipelines.delete(wgsl));
      this.#pipelines.set(wgsl, pipeline);
    }
    return pipeline;
  }

  async #compile(label: string, code: string, layout: ShaderLayout): Promise<GPUComputePipeline> {
    const { device } = this;
    device.pushErrorScope('validation');
    const module = device.createShaderModule({ label, code });
    const bindGroupLayout = device.createBindGroupLayout({
      label,
      entries: layout.bindings.map(({ binding, access }) => ({
        binding,
        visibility: 4, // GPUShaderStage.COMPUTE; the global is not defined everywhere
        buffer: { type: access === 'read' ? 'read-only-storage' : 'storage' },
      })),
    });
    const created = device.createComputePipelineAsync({
      label,
      layout: device.createPipelineLayout({ label, bindGroupLayouts: [bindGroupLayout] }),
      compute: { module, entryPoint: layout.entryPoint },
    });
    const scope = device.popErrorScope();
    const [pipeline, error] = await Promise.allSettled([created, scope]);
    if (pipeline.status === 'rejected' || (error.status === 'fulfilled' && error.value)) {
      const info = await module.getCompilationInfo().catch(() => undefined);
      const lines = info?.messages.map((m) => `${m.lineNum}:${m.linePos} ${m.message}`).join('\n') ?? '';
      const cause = pipeline.status === 'rejected' ? pipeline.reason : undefined;
      throw new GpuError(`Kernel ${label} does not compile: ${lines || cause}`, { cause });
    }
    return pipeline.value;
  }

  /** A mappable buffer of at least `bytes`; give it back with `returnStaging` (undestroyed mapped buffers leak). */
  async borrowStaging(bytes: number): Promise<GPUBuffer> {
    const index = this.#staging.findIndex(
      (buffer) => buffer.size >= bytes && buffer.size <= 2 * bytes + 4096,
    );
    if (index >= 0) return this.#staging.splice(index, 1)[0]!;
    const usage = 0x0001 | 0x0008; // MAP_READ | COPY_DST
    return (await this.allocate([{ label: 'staging', bytes, usage }]))[0]!;
  }

  returnStaging(buffer: GPUBuffer): void {
    this.#staging.push(buffer);
    if (this.#staging.length > 4) this.release(this.#staging.splice(0, 1));
  }

  /** Copies a range of a buffer (offset and length multiples of 4) back to the host. @throws DeviceLostError */
  async readBytes(buffer: GPUBuffer, offset: number, bytes: number): Promise<Uint8Array<ArrayBuffer>> {
    const staging = await this.borrowStaging(roundUp(Math.max(bytes, 16), 16));
    try {
      const encoder = this.device.createCommandEncoder();
      encoder.copyBufferToBuffer(buffer, offset, staging, 0, bytes);
      this.device.queue.submit([encoder.finish()]);
      await this.guard(staging.mapAsync(1, 0, bytes));
      return new Uint8Array(staging.getMappedRange(0, bytes).slice(0));
    } finally {
      staging.unmap();
      this.returnStaging(staging);
    }
  }

  /** Waits until everything submitted so far is done. */
  async idle(): Promise<void> {
    await this.guard(this.device.queue.onSubmittedWorkDone());
  }

  /** Closes the device: everything pending rejects with DeviceLostError. */
  destroy(): void {
    this.release(this.#staging.splice(0));
    this.#pipelines.clear();
    this.device.destroy();
  }
}
