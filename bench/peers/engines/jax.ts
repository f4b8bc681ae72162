/** jax-js, WebGPU backend. Its operations take their arguments away: `ref` keeps one. */
import type { Engine, Prepared, Task } from '../engine';
import { importPeer, versionOf } from '../packages';
import { readWeight } from '../weights-file';
import { gemmWeight, operandOf, sizesOf, transpose } from '../workloads';
import { installNavigator } from './navigator';

interface Value {
  readonly ref: this;
  data(): Promise<Float32Array>;
  dispose(): void;
  add(other: Value | number): Value;
  sub(other: Value): Value;
  mul(other: Value | number): Value;
  reshape(shape: readonly number[]): Value;
  transpose(order: readonly number[]): Value;
  slice(...ranges: (readonly [number, number] | readonly [] | number)[]): Value;
  astype(type: string): Value;
}
type Weights = Readonly<Record<string, Value>>;
/** The part of jax-js's interface that is used here. */
interface Jax {
  init(device: string): Promise<string[]>;
  defaultDevice(device: string): string;
  blockUntilReady<T>(tree: T): Promise<T>;
  jit<F>(work: F): F;
  readonly numpy: {
    array(values: Float32Array, options: { shape: readonly number[] }): Value;
    matmul(a: Value, b: Value): Value;
    split(x: Value, count: number, axis: number): Value[];
    concatenate(values: readonly Value[], axis: number): Value;
    broadcastTo(x: Value, shape: readonly number[]): Value;
  };
  readonly nn: {
    gelu(x: Value, options: { approximate: boolean }): Value;
    standardize(x: Value, axis: number): Value;
    softmax(x: Value, axis: number): Value;
  };
}

export const NAME = '@jax-js/jax';

export async function loadJax(): Promise<Engine> {
  const adapter = await installNavigator();
  const jax = await importPeer<Jax>(NAME, 'dist/index.js');
  if (!(await jax.init('webgpu')).includes('webgpu')) throw new Error('its WebGPU backend does not start');
  jax.defaultDevice('webgpu');
  return {
    version: await versionOf(NAME),
    dtypes: ['f32', 'f16'],
    adapter,
    prepare: (task, repeats) =>
      task.work.kind === 'gemm' ? prepareGemm(jax, task, repeats) : prepareVision(jax, task, repeats),
  };
}

/** Results that wait at once. */
const MOST_BYTES = 1024 * 1024 * 1024;

const typeName = ({ dtype }: Task) => (dtype === 'f16' ? 'float16' : 'float32');

async function prepareGemm({ numpy: np, ...jax }: Jax, task: Task, repeats: number): Promise<Prepared> {
  const { work } = task;
  if (work.kind !== 'gemm') throw new TypeError('not a GEMM');
  const { shape, values } = operandOf(work);
  const x = np.array(values, { shape }).astype(typeName(task));
  const w = np.array(gemmWeight(work), { shape: [work.depth, work.columns] }).astype(typeName(task));
  await jax.blockUntilReady([x, w]);
  // A result that is let go of before it is waited for may never be computed.
  const atOnce = Math.max(1, Math.floor(MOST_BYTES / (4 * work.rows * work.columns)));
  const multiply = jax.jit((a: Value, b: Value) => np.matmul(a, b));
  return {
    repeats,
    async run() {
      for (let left = repeats; left > 0; left -= atOnce) {
        const some = Array.from({ length: Math.min(left, atOnce) }, () => multiply(x.ref, w.ref));
        for (const y of await jax.blockUntilReady(some)) y.dispose();
      }
    },
    result: () => multiply(x.ref, w.ref).astype('float32').data(),
    async destroy() {
      x.dispose();
      w.dispose();
    },
  };
}

async function prepareVision({ numpy: np, nn, ...jax }: Jax, task: Task, wanted: number): Promise<Prepared> {
  const { work, weights } = task;
  if (work.kind === 'gemm') throw new TypeError('a GEMM');
  const { grid, heads, layers, patch, tokens, width } = sizesOf(work);
  const { batch } = work;
  const repeats = work.kind === 'tower' ? 1 : wanted;
  const load = async (name: string, turned = false) => {
    const { shape } = weights!.tensors[name]!;
    const stored = await readWeight(weights!, name);
    const [rows, columns] = shape as [number, number];
    const values = turned ? transpose(stored, rows, columns) : stored;
    return np.array(values, { shape: turned ? [columns, rows] : shape }).astype(typeName(task));
  };
  /** Weights of block `index`, under names without its prefix, so that all blocks share one compiled function. */
  const blockWeights = async (index: number): Promise<Weights> => {
    const at = `visual.transformer.resblocks.${index}.`;
    const names = Object.keys(weights!.tensors).filter((name) => name.startsWith(at));
    return Object.fromEntries(await Promise.all(names.map(async (n) => [n.slice(at.length), await load(n)])));
  };
  const refs = (all: Weights): Weights =>
    Object.fromEntries(Object.entries(all).map(([name, value]) => [name, value.ref]));

  const layerNorm = (x: Value, weight: Value, bias: Value) => nn.standardize(x, -1).mul(weight).add(bias);
  const linear = (x: Value, matrix: Value, bias: Value) => np.matmul(x, matrix).add(bias);
  const block = jax.jit((p: Weights, x: Value) => {
    const qkv = linear(
      layerNorm(x.ref, p['ln_1.weight']!, p['ln_1.bias']!),
      p['attn.in_proj_weight']!,
      p['attn.in_proj_bias']!,
    );
    // nn.dotProductAttention does the same by einsum, whose parser needs a newer Node (iterator helpers).
    const [q, k, v] = np
      .split(qkv, 3, -1)
      .map((part) => part.reshape([batch, tokens, heads, width / heads]).transpose([0, 2, 1, 3])) as [
      Value,
      Value,
      Value,
    ];
    const scores = np.matmul(q, k.transpose([0, 1, 3, 2])).mul(Math.sqrt(heads / width));
    const mixed = np
      .matmul(nn.softmax(scores, -1), v)
      .transpose([0, 2, 1, 3])
      .reshape([batch, tokens, width]);
    const middle = x.add(linear(mixed, p['attn.out_proj.weight']!, p['attn.out_proj.bias']!));
    const normal = layerNorm(middle.ref, p['ln_2.weight']!, p['ln_2.bias']!);
    const hidden = nn.gelu(linear(normal, p['mlp.c_fc.weight']!, p['mlp.c_fc.bias']!), {
      approximate: false,
    });
    return middle.add(linear(hidden, p['mlp.c_proj.weight']!, p['mlp.c_proj.bias']!));
  });
  const embed = jax.jit((p: Weights, images: Value) => {
    const side = grid * patch;
    const seen = images.slice([], [], [0, side], [0, side]).reshape([batch, 3, grid, patch, grid, patch]);
    const patches = seen.transpose([0, 2, 4, 1, 3, 5]).reshape([batch, grid * grid, 3 * patch * patch]);
    const rows = np.matmul(patches, p.kernel!);
    const first = np.broadcastTo(p.first!.reshape([1, 1, width]), [batch, 1, width]);
    const x = np.concatenate([first, rows], 1).add(p.positions!);
    return layerNorm(x, p.weight!, p.bias!);
  });

  const blocks: Weights[] = [];
  for (let i = 0; i < (work.kind === 'block' ? 1 : layers); i++) blocks.push(await blockWeights(i));
  const ends: Weights =
    work.kind === 'block'
      ? {}
      : {
          kernel: await load('visual.conv1.weight', true),
          first: await load('visual.class_embedding'),
          positions: await load(`visual.positional_embedding@${grid}`),
          weight: await load('visual.ln_pre.weight'),
          bias: await load('visual.ln_pre.bias'),
        };
  const { shape, values } = operandOf(work);
  const operand = () => np.array(values, { shape }).astype(typeName(task));
  const resident = work.kind === 'block' ? operand() : undefined;
  await jax.blockUntilReady([...blocks, ends, ...(resident ? [resident] : [])]);

  const compute = (times: number) => {
    let x = resident?.ref ?? embed(refs(ends), operand());
    for (let i = 0; i < (work.kind === 'block' ? times : layers); i++)
      x = block(refs(blocks[work.kind === 'block' ? 0 : i]!), x);
    return x;
  };
  return {
    repeats,
    async run() {
      const y = compute(repeats);
      if (work.kind === 'block') (await jax.blockUntilReady(y)).dispose();
      else await y.slice([], [0, 1]).astype('float32').data();
    },
    result: () => compute(1).astype('float32').data(),
    async destroy() {
      for (const all of [...blocks, ends]) for (const value of Object.values(all)) value.dispose();
      resident?.dispose();
    },
  };
}
