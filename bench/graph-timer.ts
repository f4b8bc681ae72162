/** Times a graph where it runs: several copies of it in one submit, by GPU timestamps or by wall clock. */
import { BufferStore, type TensorLookup } from '../src/runtime/buffer-store';
import type { Gpu } from '../src/runtime/device';
import { Executable, type InputData } from '../src/runtime/executable';
import { Graph } from '../src/runtime/graph';
import { type Plan, plan } from '../src/runtime/plan';
import { byteSize, type TensorType } from '../src/runtime/tensor-type';
import type { Contender } from './measure';
import type { Session } from './session';

/** Work that one submit should hold, so that starting it does not count, ms. */
const TARGET_MS = 20;
const MOST_REPEATS = 64;
/** Repeats keep their outputs: no more than this many bytes of them. */
const MOST_BYTES = 64 * 1024 * 1024;

/** Operands `x0`, `x1`, ... as resident tensors: nothing is uploaded while the clock runs. */
export async function storeOf(
  gpu: Gpu,
  operands: readonly { readonly type: TensorType; readonly values: InputData }[],
): Promise<BufferStore> {
  const store = new BufferStore(gpu);
  try {
    for (const [i, { type, values }] of operands.entries()) {
      await store.create(`x${i}`, type);
      await store.write(`x${i}`, values instanceof Uint32Array ? Float32Array.from(values) : values);
    }
    await store.flush();
    return store;
  } catch (error) {
    store.destroy();
    throw error;
  }
}

/** Adds one repetition to the graph and names its outputs, which end in `.<repeat>`. The graph has weights, no inputs. */
export type AddRepetition = (g: Graph, repeat: number) => void;

export interface TimerOptions {
  readonly weights: TensorLookup;
  /** Op name -> variant. */
  readonly variants?: Readonly<Record<string, string>>;
  /** 1 takes one, whatever the time. */
  readonly mostRepeats?: number;
}

export class GraphTimer implements Contender {
  private constructor(
    private readonly session: Session,
    private executable: Executable,
    private repeats: number,
  ) {}

  /**
   * Compiles a single repetition.
   * @throws MlaLpError when it does not fit the device.
   */
  static async create(session: Session, add: AddRepetition, options: TimerOptions): Promise<GraphTimer> {
    const executable = await compile(session, add, 1, options);
    return new GraphTimer(session, executable, 1);
  }

  get plan(): Plan {
    return this.executable.plan;
  }

  /** Runs and reads the outputs of the first repetition. */
  run(): ReturnType<Executable['run']> {
    return this.executable.run({});
  }

  /** Takes as many repetitions into a submit as make it long enough; call it after a first run, which warms up. */
  async calibrate(add: AddRepetition, options: TimerOptions): Promise<void> {
    const { outputs } = this.plan;
    const bytes = [...outputs.values()].reduce((sum, { type }) => sum + byteSize(type), 0);
    const most = Math.min(options.mostRepeats ?? MOST_REPEATS, Math.floor(MOST_BYTES / bytes));
    const repeats = Math.min(most, Math.ceil(TARGET_MS / Math.max(1e-3, await this.sample())));
    if (repeats <= this.repeats) return;
    const longer = await compile(this.session, add, repeats, options);
    this.executable.destroy();
    this.executable = longer;
    this.repeats = repeats;
    await this.sample(); // the first run of new buffers pays for them
  }

  /** One submit: mean time of its repetitions, ms. */
  async sample(clock = this.session.clock): Promise<number> {
    if (clock === 'timestamp') {
      const steps = await this.executable.profile({});
      return steps.reduce((sum, step) => sum + step.nanoseconds, 0) / 1e6 / this.repeats;
    }
    const ms = (await wallOf(this.executable)) - this.session.emptyRunMs;
    // Noise may make a tiny kernel "faster than nothing": a microsecond is the least that this clock tells.
    return Math.max(1e-3, ms) / this.repeats;
  }

  destroy(): void {
    this.executable.destroy();
  }
}

/** Wall time of one run, ms. A run that reads nothing back ends when it is submitted, so the device is waited for. */
export async function wallOf(executable: Executable): Promise<number> {
  const start = performance.now();
  await executable.run({}, { wanted: [] });
  await executable.gpu.idle();
  return performance.now() - start;
}

function compile(
  session: Session,
  add: AddRepetition,
  repeats: number,
  { weights, variants = {} }: TimerOptions,
): Promise<Executable> {
  const g = new Graph();
  for (let r = 0; r < repeats; r++) add(g, r);
  return Executable.compile(session.gpu, plan(g, session.gpu.caps, { variants }), weights);
}
