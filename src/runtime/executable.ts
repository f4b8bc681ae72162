/** A plan bound to a device: pipelines compiled in parallel, buffers and bind groups made once, replayed on every run. */
import type { TensorLookup } from './buffer-store';
import type { Gpu } from './device';
import { GpuError, ShapeError } from './errors';
import { decodeF16, encodeF16 } from './float16';
import type { Place, Plan, PlannedDispatch, Step } from './plan';
import { BYTES, byteSize, describe, roundUp, sameShape, sizeOf, type TensorType } from './tensor-type';

export type InputData = Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>;

/** Bytes that are on the device already. */
export interface DeviceSlice {
  readonly buffer: GPUBuffer;
  readonly offset: number;
  readonly bytes: number;
}

/** Values to upload, or slices that fill the input one after another. */
export type RunInput = InputData | readonly DeviceSlice[];

export interface RunOptions {
  /** Outputs to read back; all without it. */
  readonly wanted?: readonly string[];
  /** Outputs to copy on the device, each over its slices one after another (what is left over is dropped). */
  readonly copyTo?: Readonly<Record<string, readonly DeviceSlice[]>>;
  readonly observe?: RunObserver;
}

/**
 * Told when a run's parts are over; `performance.now()`, ms. `upload`: inputs are handed to the device. `device`: from submission to the
 * outputs' arrival, so it also counts what the device's queue holds before.
 */
export type RunObserver = (part: 'upload' | 'device', from: number, to: number) => void;

/** f16 outputs come back widened to f32. */
export type OutputData = Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>;

/** GPU time of one step. */
export interface StepTime {
  readonly label: string;
  readonly variant: string;
  readonly nanoseconds: number;
  readonly flops: number;
  readonly bytes: number;
}

export interface CompileOptions {
  /** Fill all intermediates with NaN before each run, so that a kernel that misses an element is seen (tests). */
  readonly poison?: boolean;
  /** Called once, when the executable is destroyed: its weights are no longer needed for its sake. */
  readonly onDestroy?: () => void;
}

interface Command {
  readonly step: Step;
  readonly pipeline: GPUComputePipeline;
  readonly bindGroup: GPUBindGroup;
  readonly workgroups: readonly [number, number, number];
}

const STORAGE = 0x0080 | 0x0008 | 0x0004; // STORAGE | COPY_DST | COPY_SRC

export class Executable {
  #queue: Promise<unknown> = Promise.resolve();

  private constructor(
    readonly gpu: Gpu,
    readonly plan: Plan,
    private readonly arenas: readonly GPUBuffer[],
    private readonly inputs: ReadonlyMap<string, GPUBuffer>,
    private readonly commands: readonly Command[],
    private readonly options: CompileOptions,
  ) {}

  /**
   * Compiles a plan's pipelines, equal ones once, all at the same time. They stay in the device's cache: called ahead, they are ready
   * or under way when `compile` asks for them, and weights can upload meanwhile.
   * @throws GpuError naming the kernel that does not compile.
   */
  static prepare(gpu: Gpu, plan: Plan): Promise<GPUComputePipeline[]> {
    const pipelines = Promise.all(
      dispatchesOf(plan).map(({ planned }) =>
        gpu.pipeline(planned.dispatch.kernel.name, planned.wgsl, planned.layout),
      ),
    );
    // Told when somebody waits for them.
    pipelines.catch(() => {});
    return pipelines;
  }

  /** @throws GpuError naming the kernel that does not compile, OutOfMemoryError. */
  static async compile(
    gpu: Gpu,
    plan: Plan,
    weights: TensorLookup,
    options: CompileOptions = {},
  ): Promise<Executable> {
    for (const [name, tensor] of plan.graph.weights) {
      const { type } = weights.get(name);
      if (type.dtype !== tensor.dtype || !sameShape(type.shape, tensor.shape)) {
        throw new ShapeError(
          `Weight ${name} is ${describe(type)}, the graph wants ${describe(tensor.type)}.`,
        );
      }
    }
    const compiling = Executable.prepare(gpu, plan);
    const names = [...plan.graph.inputs.keys()];
    const buffers = await gpu.allocate([
      ...plan.arenas.map((bytes, i) => ({ label: `arena ${i}`, bytes, usage: STORAGE })),
      ...names.map((name) => ({
        label: name,
        bytes: byteSize(plan.graph.inputs.get(name)!.type),
        usage: STORAGE,
      })),
    ]);
    try {
      const arenas = buffers.slice(0, plan.arenas.length);
      const inputs = new Map(names.map((name, i) => [name, buffers[plan.arenas.length + i]!]));
      const resolve = (place: Place): GPUBufferBinding => {
        if (place.kind === 'arena') {
          return { buffer: arenas[place.slot.arena]!, offset: place.slot.offset, size: place.slot.bytes };
        }
        const { name, type } = place.tensor;
        return {
          buffer: place.kind === 'input' ? inputs.get(name)! : weights.get(name).buffer,
          size: byteSize(type),
        };
      };
      const pipelines = await compiling;
      gpu.device.pushErrorScope('validation');
      const commands = dispatchesOf(plan).map(
        ({ step, planned }, i): Command => ({
          step,
          pipeline: pipelines[i]!,
          bindGroup: bindGroupOf(gpu.device, pipelines[i]!, planned, resolve),
          workgroups: planned.dispatch.workgroups,
        }),
      );
      const error = await gpu.guard(gpu.device.popErrorScope());
      if (error) throw new GpuError(error.message);
      return new Executable(gpu, plan, arenas, inputs, commands, options);
    } catch (error) {
      gpu.release(buffers);
      throw error;
    }
  }

  /**
   * Uploads inputs, runs every step, reads the wanted outputs. Calls queue up on the device: the next one is uploaded and submitted
   * while this one computes.
   * @throws ShapeError for a missing, unknown or wrongly sized input or slice; DeviceLostError.
   */
  run(
    inputs: Readonly<Record<string, RunInput>>,
    options: RunOptions = {},
  ): Promise<Record<string, OutputData>> {
    return this.#run(inputs, options);
  }

  #run(
    inputs: Readonly<Record<string, RunInput>>,
    options: RunOptions,
    onSubmitted?: () => void,
  ): Promise<Record<string, OutputData>> {
    return this.#enqueue(async (submitted) => {
      const begun = performance.now();
      const { failures } = this.gpu;
      this.#upload(inputs);
      options.observe?.('upload', begun, performance.now());
      if (this.options.poison) this.#poison();
      const encoder = this.gpu.device.createCommandEncoder();
      this.#copyIn(encoder, inputs);
      const pass = encoder.beginComputePass();
      for (const command of this.commands) record(pass, command);
      pass.end();
      this.#copyOut(encoder, options.copyTo ?? {});
      let from = 0;
      const outputs = await this.#finish(encoder, options.wanted ?? [...this.plan.outputs.keys()], () => {
        from = performance.now();
        submitted();
        onSubmitted?.();
      });
      options.observe?.('device', from, performance.now());
      this.gpu.checkSince(failures);
      return outputs;
    });
  }

  /**
   * As `run`, in two parts: resolves when the device's queue has all of it, so that another executable's work can go behind it; `outputs`
   * come later. Nobody needs to wait for them.
   * @throws ShapeError, DeviceLostError where nothing was submitted.
   */
  async start(
    inputs: Readonly<Record<string, RunInput>>,
    options: RunOptions = {},
  ): Promise<{ readonly outputs: Promise<Record<string, OutputData>> }> {
    let onSubmitted: () => void = () => {};
    const submitted = new Promise<void>((done) => {
      onSubmitted = done;
    });
    const outputs = this.#run(inputs, options, onSubmitted);
    outputs.catch(() => {});
    await Promise.race([submitted, outputs]);
    return { outputs };
  }

  /** Runs with a timestamp around every step. @throws GpuError when the device has no timestamp queries. */
  profile(inputs: Readonly<Record<string, RunInput>>): Promise<StepTime[]> {
    const { device } = this.gpu;
    if (!device.features.has('timestamp-query')) throw new GpuError('This device has no timestamp queries.');
    return this.#enqueue(async () => {
      this.#upload(inputs);
      const encoder = device.createCommandEncoder();
      this.#copyIn(encoder, inputs);
      device.queue.submit([encoder.finish()]);
      const groups = groupBySteps(this.commands);
      const times: StepTime[] = [];
      const chunk = 2048; // a query set holds at most 4096 timestamps
      for (let first = 0; first < groups.length; first += chunk) {
        times.push(...(await this.#timeSteps(groups.slice(first, first + chunk))));
      }
      return times;
    });
  }

  /** Frees arenas and inputs; weights stay in their store. */
  destroy(): void {
    this.gpu.release([...this.arenas, ...this.inputs.values()]);
    this.options.onDestroy?.();
  }

  /** @param work calls `submitted` when the device's queue has all of it: from there on the order is kept. */
  #enqueue<T>(work: (submitted: () => void) => Promise<T>): Promise<T> {
    const before = this.#queue;
    let submitted: () => void = () => {};
    this.#queue = new Promise<void>((done) => {
      submitted = done;
    });
    return before.then(() => work(submitted)).finally(submitted);
  }

  #upload(inputs: Readonly<Record<string, RunInput>>): void {
    this.gpu.check();
    for (const name of Object.keys(inputs)) {
      if (!this.inputs.has(name)) throw new ShapeError(`The graph has no input ${name}.`);
    }
    for (const [name, buffer] of this.inputs) {
      const type = this.plan.graph.inputs.get(name)!.type;
      const data = inputs[name];
      if (isSlices(data)) continue;
      if (data?.length !== sizeOf(type)) {
        throw new ShapeError(
          `Input ${name} must hold ${sizeOf(type)} values (${describe(type)}), not ${data?.length ?? 'nothing'}.`,
        );
      }
      const isInteger = data instanceof Uint32Array;
      if (isInteger !== (type.dtype === 'u32')) throw new ShapeError(`Input ${name} must be ${type.dtype}.`);
      const bytes =
        type.dtype === 'f16' && data instanceof Float32Array
          ? encodeF16(data, new Uint16Array(data.length + (data.length & 1)))
          : data;
      this.gpu.device.queue.writeBuffer(buffer, 0, bytes as BufferSource);
    }
  }

  #copyIn(encoder: GPUCommandEncoder, inputs: Readonly<Record<string, RunInput>>): void {
    for (const [name, buffer] of this.inputs) {
      const data = inputs[name];
      if (!isSlices(data)) continue;
      const type = this.plan.graph.inputs.get(name)!.type;
      const bytes = data.reduce((sum, slice) => sum + slice.bytes, 0);
      if (bytes !== sizeOf(type) * BYTES[type.dtype]) {
        throw new ShapeError(`Input ${name} (${describe(type)}) cannot be filled from ${bytes} bytes.`);
      }
      let at = 0;
      for (const slice of data) {
        encoder.copyBufferToBuffer(slice.buffer, slice.offset, buffer, at, slice.bytes);
        at += slice.bytes;
      }
    }
  }

  #copyOut(encoder: GPUCommandEncoder, copies: NonNullable<RunOptions['copyTo']>): void {
    for (const [name, slices] of Object.entries(copies)) {
      const output = this.plan.outputs.get(name);
      if (!output) throw new ShapeError(`The graph has no output ${name}.`);
      const have = sizeOf(output.type) * BYTES[output.type.dtype];
      let at = 0;
      for (const slice of slices) {
        if (at + slice.bytes > have) {
          throw new ShapeError(
            `Output ${name} (${describe(output.type)}) holds no ${at + slice.bytes} bytes.`,
          );
        }
        encoder.copyBufferToBuffer(
          this.arenas[output.slot.arena]!,
          output.slot.offset + at,
          slice.buffer,
          slice.offset,
          slice.bytes,
        );
        at += slice.bytes;
      }
    }
  }

  #poison(): void {
    for (const arena of this.arenas) {
      // 0x7fff7fff is NaN as f32 and as two f16.
      this.gpu.device.queue.writeBuffer(arena, 0, new Uint32Array(arena.size / 4).fill(0x7fff7fff));
    }
  }

  async #finish(
    encoder: GPUCommandEncoder,
    wanted: readonly string[],
    submitted: () => void,
  ): Promise<Record<string, OutputData>> {
    if (wanted.length === 0) {
      this.gpu.device.queue.submit([encoder.finish()]);
      submitted();
      await this.gpu.idle();
      return {};
    }
    const spans: { name: string; type: TensorType; offset: number }[] = [];
    let bytes = 0;
    for (const name of wanted) {
      const output = this.plan.outputs.get(name);
      if (!output) throw new ShapeError(`The graph has no output ${name}.`);
      spans.push({ name, type: output.type, offset: bytes });
      bytes += roundUp(byteSize(output.type), 256);
    }
    return this.#readBack(bytes, async (staging, map) => {
      for (const { name, type, offset } of spans) {
        const { slot } = this.plan.outputs.get(name)!;
        encoder.copyBufferToBuffer(this.arenas[slot.arena]!, slot.offset, staging, offset, byteSize(type));
      }
      this.gpu.device.queue.submit([encoder.finish()]);
      submitted();
      const mapped = await map();
      const results: Record<string, OutputData> = {};
      for (const { name, type, offset } of spans) {
        const n = sizeOf(type);
        if (type.dtype === 'f32') results[name] = new Float32Array(mapped, offset, n).slice();
        else if (type.dtype === 'u32') results[name] = new Uint32Array(mapped, offset, n).slice();
        else results[name] = decodeF16(new Uint16Array(mapped, offset, n));
      }
      return results;
    });
  }

  /** Lends a staging buffer to `work`, which copies into it, submits, and then maps it. It goes back whatever happens. */
  async #readBack<T>(
    bytes: number,
    work: (staging: GPUBuffer, map: () => Promise<ArrayBuffer>) => Promise<T>,
  ): Promise<T> {
    const size = roundUp(Math.max(bytes, 16), 16);
    const staging = await this.gpu.borrowStaging(size);
    try {
      return await work(staging, async () => {
        await this.gpu.guard(staging.mapAsync(1, 0, size));
        return staging.getMappedRange(0, size);
      });
    } finally {
      staging.unmap();
      this.gpu.returnStaging(staging);
    }
  }

  async #timeSteps(groups: readonly Command[][]): Promise<StepTime[]> {
    const { device } = this.gpu;
    const count = groups.length * 2;
    const querySet = device.createQuerySet({ type: 'timestamp', count });
    const [resolved] = await this.gpu.allocate([
      { label: 'timestamps', bytes: count * 8, usage: 0x0200 | 0x0004 },
    ]);
    try {
      return await this.#readBack(count * 8, async (staging, map) => {
        const encoder = device.createCommandEncoder();
        groups.forEach((commands, i) => {
          const pass = encoder.beginComputePass({
            timestampWrites: { querySet, beginningOfPassWriteIndex: 2 * i, endOfPassWriteIndex: 2 * i + 1 },
          });
          for (const command of commands) record(pass, command);
          pass.end();
        });
        encoder.resolveQuerySet(querySet, 0, count, resolved!, 0);
        encoder.copyBufferToBuffer(resolved!, 0, staging, 0, count * 8);
        device.queue.submit([encoder.finish()]);
        const ticks = new BigUint64Array(await map());
        return groups.map((commands, i) => {
          const { step } = commands[0]!;
          return {
            label: step.node.label,
            variant: step.variant,
            nanoseconds: Number(ticks[2 * i + 1]! - ticks[2 * i]!),
            flops: step.flops,
            bytes: step.bytes,
          };
        });
      });
    } finally {
      this.gpu.release([resolved!]);
      querySet.destroy();
    }
  }
}

function dispatchesOf(plan: Plan): { readonly step: Step; readonly planned: PlannedDispatch }[] {
  return plan.steps.flatMap((step) => step.dispatches.map((planned) => ({ step, planned })));
}

function isSlices(data: RunInput | undefined): data is readonly DeviceSlice[] {
  return Array.isArray(data);
}

/** The bind group of a planned dispatch. @param resolve which bytes a place means. */
export function bindGroupOf(
  device: GPUDevice,
  pipeline: GPUComputePipeline,
  planned: PlannedDispatch,
  resolve: (place: Place) => GPUBufferBinding,
): GPUBindGroup {
  return device.createBindGroup({
    label: planned.dispatch.kernel.name,
    layout: pipeline.getBindGroupLayout(0),
    entries: planned.layout.bindings.map(({ binding }, i) => ({
      binding,
      resource: resolve(planned.places[i]!),
    })),
  });
}

function record(pass: GPUComputePassEncoder, command: Command): void {
  pass.setPipeline(command.pipeline);
  pass.setBindGroup(0, command.bindGroup);
  pass.dispatchWorkgroups(...command.workgroups);
}

function groupBySteps(commands: readonly Command[]): Command[][] {
  const groups: Command[][] = [];
  for (const command of commands) {
    const last = groups.at(-1);
    if (last && last[0]?.step === command.step) last.push(command);
    else groups.push([command]);
  }
  return groups;
}
