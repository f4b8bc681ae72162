/** TensorFlow.js, WebGPU backend. It stores f32 only. */
import type { Engine, Prepared, Task } from '../engine';
import { requirePeer, versionOf } from '../packages';
import { readWeight } from '../weights-file';
import { gemmWeight, operandOf, resultShape, sizesOf } from '../workloads';
import { installNavigator } from './navigator';

interface Tensor {
  readonly shape: number[];
  data(): Promise<Float32Array>;
  dispose(): void;
}
/** The part of tfjs-core's interface that is used here. */
interface Tf {
  setBackend(name: string): Promise<boolean>;
  ready(): Promise<void>;
  tensor(values: Float32Array, shape: readonly number[]): Tensor;
  tidy<T>(work: () => T): T;
  matMul(a: Tensor, b: Tensor, transposeA?: boolean, transposeB?: boolean): Tensor;
  readonly fused: { matMul(options: { a: Tensor; b: Tensor; bias?: Tensor }): Tensor };
  slice(x: Tensor, begin: readonly number[], size: readonly number[]): Tensor;
  reshape(x: Tensor, shape: readonly number[]): Tensor;
  transpose(x: Tensor, order: readonly number[]): Tensor;
  split(x: Tensor, count: number, axis: number): Tensor[];
  concat(tensors: readonly Tensor[], axis: number): Tensor;
  tile(x: Tensor, times: readonly number[]): Tensor;
  softmax(x: Tensor): Tensor;
  moments(x: Tensor, axis: number, keepDims: boolean): { mean: Tensor; variance: Tensor };
  add(a: Tensor, b: Tensor | number): Tensor;
  sub(a: Tensor, b: Tensor): Tensor;
  mul(a: Tensor, b: Tensor | number): Tensor;
  rsqrt(x: Tensor): Tensor;
  erf(x: Tensor): Tensor;
}

export const NAME = '@tensorflow/tfjs-backend-webgpu';

export async function loadTfjs(): Promise<Engine> {
  const adapter = await installNavigator();
  const tf = requirePeer<Tf>('@tensorflow/tfjs-core');
  requirePeer(NAME);
  if (!(await tf.setBackend('webgpu'))) throw new Error('its WebGPU backend does not start');
  await tf.ready();
  return {
    version: await versionOf(NAME),
    dtypes: ['f32'],
    adapter,
    prepare: (task, repeats) =>
      task.work.kind === 'gemm' ? prepareGemm(tf, task, repeats) : prepareVision(tf, task, repeats),
  };
}

async function prepareGemm(tf: Tf, { work }: Task, repeats: number): Promise<Prepared> {
  if (work.kind !== 'gemm') throw new TypeError('not a GEMM');
  const { shape, values } = operandOf(work);
  const x = tf.tensor(values, shape);
  const w = tf.tensor(gemmWeight(work), [work.depth, work.columns]);
  return {
    repeats,
    async run() {
      let y: Tensor | undefined;
      for (let r = 0; r < repeats; r++) {
        y?.dispose();
        y = tf.matMul(x, w);
      }
      await readCorner(tf, y!);
    },
    async result() {
      const y = tf.matMul(x, w);
      const data = await y.data();
      y.dispose();
      return data;
    },
    async destroy() {
      x.dispose();
      w.dispose();
    },
  };
}

/** Waits for everything before it: the queue is in order. */
async function readCorner(tf: Tf, y: Tensor): Promise<void> {
  const corner = tf.slice(
    y,
    y.shape.map(() => 0),
    y.shape.map(() => 1),
  );
  await corner.data();
  corner.dispose();
  y.dispose();
}

async function prepareVision(tf: Tf, { work, weights }: Task, wanted: number): Promise<Prepared> {
  if (work.kind === 'gemm') throw new TypeError('a GEMM');
  const { grid, heads, layers, patch, tokens, width } = sizesOf(work);
  const { batch } = work;
  const repeats = work.kind === 'tower' ? 1 : wanted;
  const w = new Map<string, Tensor>();
  for (const [name, { shape }] of Object.entries(weights!.tensors))
    w.set(name, tf.tensor(await readWeight(weights!, name), shape));
  const weight = (name: string) => w.get(name)!;

  const layerNorm = (x: Tensor, name: string) => {
    const { mean, variance } = tf.moments(x, -1, true);
    const normal = tf.mul(tf.sub(x, mean), tf.rsqrt(tf.add(variance, 1e-5)));
    return tf.add(tf.mul(normal, weight(`${name}.weight`)), weight(`${name}.bias`));
  };
  const linear = (x: Tensor, matrix: string, bias: string) =>
    tf.fused.matMul({ a: x, b: weight(matrix), bias: weight(bias) });
  const gelu = (x: Tensor) => tf.mul(tf.mul(x, 0.5), tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1));
  const split = (x: Tensor) =>
    tf.transpose(tf.reshape(x, [batch, tokens, heads, width / heads]), [0, 2, 1, 3]);
  /** x [batch * tokens, width]. */
  const block = (x: Tensor, index: number) => {
    const at = `visual.transformer.resblocks.${index}.`;
    const qkv = linear(layerNorm(x, `${at}ln_1`), `${at}attn.in_proj_weight`, `${at}attn.in_proj_bias`);
    const [q, k, v] = tf.split(qkv, 3, 1).map(split) as [Tensor, Tensor, Tensor];
    const scores = tf.mul(tf.matMul(q, k, false, true), Math.sqrt(heads / width));
    const mixed = tf.transpose(tf.matMul(tf.softmax(scores), v), [0, 2, 1, 3]);
    const attended = linear(
      tf.reshape(mixed, [batch * tokens, width]),
      `${at}attn.out_proj.weight`,
      `${at}attn.out_proj.bias`,
    );
    const middle = tf.add(x, attended);
    const hidden = gelu(linear(layerNorm(middle, `${at}ln_2`), `${at}mlp.c_fc.weight`, `${at}mlp.c_fc.bias`));
    return tf.add(middle, linear(hidden, `${at}mlp.c_proj.weight`, `${at}mlp.c_proj.bias`));
  };

  const { shape, values } = operandOf(work);
  const kernel =
    work.kind === 'tower'
      ? tf.transpose(tf.reshape(weight('visual.conv1.weight'), [width, 3 * patch * patch]), [1, 0])
      : undefined;
  const embed = (images: Tensor) => {
    const side = grid * patch;
    const seen = tf.slice(images, [0, 0, 0, 0], [batch, 3, side, side]);
    const tiles = tf.transpose(tf.reshape(seen, [batch * 3, grid, patch, grid, patch]), [0, 1, 3, 2, 4]);
    // [batch, 3, grid * grid, patch * patch] -> [batch * grid * grid, 3 * patch * patch]
    const patches = tf.reshape(
      tf.transpose(tf.reshape(tiles, [batch, 3, grid * grid, patch * patch]), [0, 2, 1, 3]),
      [batch * grid * grid, 3 * patch * patch],
    );
    const rows = tf.reshape(tf.matMul(patches, kernel!), [batch, grid * grid, width]);
    const first = tf.tile(tf.reshape(weight('visual.class_embedding'), [1, 1, width]), [batch, 1, 1]);
    const positions = tf.reshape(weight(`visual.positional_embedding@${grid}`), [1, tokens, width]);
    const x = tf.add(tf.concat([first, rows], 1), positions);
    return layerNorm(tf.reshape(x, [batch * tokens, width]), 'visual.ln_pre');
  };
  const resident = work.kind === 'block' ? tf.tensor(values, [batch * tokens, width]) : undefined;
  const compute = (times: number) =>
    tf.tidy(() => {
      let x = resident ?? embed(tf.tensor(values, shape));
      const blocks = work.kind === 'block' ? times : layers;
      // Each block's temporaries are freed before the next begins.
      for (let i = 0; i < blocks; i++) x = tf.tidy(() => block(x, work.kind === 'block' ? 0 : i));
      return x;
    });
  return {
    repeats,
    async run() {
      const y = compute(repeats);
      if (work.kind === 'block') return readCorner(tf, y);
      const first = tf.tidy(() =>
        tf.slice(tf.reshape(y, [batch, tokens, width]), [0, 0, 0], [batch, 1, width]),
      );
      y.dispose();
      await first.data();
      first.dispose();
    },
    async result() {
      const y = compute(1);
      const data = await y.data();
      y.dispose();
      if (data.length !== resultShape(work).reduce((a, b) => a * b, 1))
        throw new Error('a result of another size');
      return data;
    },
    async destroy() {
      for (const tensor of w.values()) tensor.dispose();
      resident?.dispose();
      kernel?.dispose();
    },
  };
}
