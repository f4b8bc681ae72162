/** onnxruntime-node's WebGPU provider: a Dawn of its own, on the adapter that the environment's Vulkan drivers leave it. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { decodeF16 } from '../../../src/runtime/float16';
import type { Engine, Placement, Prepared, Task } from '../engine';
import { placementOf } from '../onnx/placement';
import { modelOf, WAYS } from '../onnx/workload-model';
import { requirePeer, versionOf } from '../packages';
import { operandOf } from '../workloads';

/** The part of onnxruntime-node's interface that is used here. */
interface Ort {
  readonly Tensor: new (
    type: string,
    data: Float32Array | Uint16Array,
    shape: readonly number[],
  ) => OrtTensor;
  readonly InferenceSession: {
    create(model: Uint8Array | string, options: object): Promise<Session>;
  };
}
interface OrtTensor {
  readonly type: string;
  readonly data: Float32Array | Uint16Array;
}
interface Session {
  run(feeds: Record<string, OrtTensor>, fetches: readonly string[]): Promise<Record<string, OrtTensor>>;
  endProfiling(): void;
  release(): Promise<void>;
}

export const NAME = 'onnxruntime-node';

export async function loadOnnxRuntime(): Promise<Engine> {
  const ort = requirePeer<Ort>(NAME);
  return {
    version: await versionOf(NAME),
    dtypes: ['f32', 'f16'],
    ways: WAYS,
    prepare: (task, repeats) => prepare(ort, task, repeats),
  };
}

const F16_ONE = 0x3c00;

async function prepare(ort: Ort, task: Task, wanted: number): Promise<Prepared> {
  const { work, dtype, weights } = task;
  const repeats = work.kind === 'tower' ? 1 : wanted;
  const model = modelOf(task, repeats);
  let source: Uint8Array | string = model;
  if (weights) {
    // Weights in a file are found beside the model's.
    source = join(dirname(weights.path), `${work.kind}-${dtype}-${repeats}.onnx`);
    await writeFile(source, model);
  }
  const profiles = await mkdtemp(join(tmpdir(), 'mla-lp-profile-'));
  const session = await ort.InferenceSession.create(source, {
    executionProviders: [{ name: 'webgpu' }],
    graphOptimizationLevel: work.kind === 'gemm' ? 'disabled' : 'all',
    // A model that quietly ran on the CPU would be another engine.
    extra: { session: { disable_cpu_ep_fallback: '1' } },
    // Of the first run, which is not timed: a session whose profile has ended is as fast as one that never had one.
    enableProfiling: true,
    profileFilePrefix: join(profiles, 'run'),
  }).catch(async (error) => {
    await rm(profiles, { recursive: true, force: true });
    throw error;
  });
  const feeds: Record<string, OrtTensor> = {};
  if (work.kind === 'block') {
    const one = dtype === 'f16' ? Uint16Array.of(F16_ONE) : Float32Array.of(1);
    feeds.one = new ort.Tensor(dtype === 'f16' ? 'float16' : 'float32', one, [1]);
  } else if (work.kind === 'tower') {
    const { shape, values } = operandOf(work);
    feeds.images = new ort.Tensor('float32', values, shape);
  }
  let placement: Placement | undefined;
  const run = async (wanted: string) => {
    const results = await session.run(feeds, [wanted]);
    if (!placement) {
      session.endProfiling();
      const [name] = await readdir(profiles);
      placement = placementOf(name ? await readFile(join(profiles, name), 'utf8') : '[]');
    }
    return results[wanted]!;
  };
  return {
    repeats,
    get placement() {
      return placement;
    },
    run: async () => void (await run('small')),
    async result() {
      const { data } = await run('y0');
      return data instanceof Float32Array
        ? data
        : decodeF16(new Uint16Array(data.buffer, data.byteOffset, data.length));
    },
    async destroy() {
      await session.release();
      await rm(profiles, { recursive: true, force: true });
    },
  };
}
