/**
 * Updates over several steps, as training chains them: micro-batches accumulate, norms, clipping, optimiser. The float64
 * loops below follow the algorithms in torch.optim's documentation, parameter by parameter.
 */
import { expect, test } from 'vitest';
import { accumulate } from '../../src/kernels/accumulate/accumulate';
import { adam } from '../../src/kernels/adam/adam';
import { clipScale } from '../../src/kernels/clip-scale/clip-scale';
import { sgd } from '../../src/kernels/sgd/sgd';
import { squareSum } from '../../src/kernels/square-sum/square-sum';
import { uniformAt } from '../../src/kernels/suite';
import { firstMismatch } from '../../src/kernels/tolerance';
import { weightedSum } from '../../src/kernels/weighted-sum/weighted-sum';
import { BufferStore } from '../../src/runtime/buffer-store';
import { Executable } from '../../src/runtime/executable';
import { Graph } from '../../src/runtime/graph';
import { plan } from '../../src/runtime/plan';
import { sizeOf, tensorType } from '../../src/runtime/tensor-type';
import { openTestGpu } from '../helpers/gpu';

const gpu = await openTestGpu();

const TYPES = [tensorType('f32', [13, 7]), tensorType('f32', [301])];
const STATES = ['w', 'first', 'second', 'gradient'] as const;
const MICRO = 2;
const STEPS = 7;
const SCALE = 1024;

interface Rule {
  readonly name: string;
  readonly kind: 'adam' | 'adamw' | 'sgd' | 'nesterov';
  readonly decay: number;
  readonly maxNorm: number;
}

const RULES: readonly Rule[] = [
  { name: 'Adam', kind: 'adam', decay: 0, maxNorm: 0 },
  { name: 'Adam with decay, clipped', kind: 'adam', decay: 0.1, maxNorm: 2 },
  { name: 'AdamW', kind: 'adamw', decay: 0.1, maxNorm: 0 },
  { name: 'SGD with momentum', kind: 'sgd', decay: 0.01, maxNorm: 0 },
  { name: 'SGD with momentum, clipped', kind: 'sgd', decay: 0, maxNorm: 2 },
  { name: 'SGD with Nesterov momentum', kind: 'nesterov', decay: 0.01, maxNorm: 0 },
];
const RATE = 0.05;
const [BETA1, BETA2, EPS] = [0.5, 0.999, 1e-8];
const MOMENTUM = 0.9;

/** Step 3 overflows: one infinity in one tensor. */
const OVERFLOWING = 3;

function gradientAt(step: number, micro: number, tensor: number): Float32Array<ArrayBuffer> {
  const length = sizeOf(TYPES[tensor]!);
  const values = Float32Array.from(
    { length },
    (_, i) => SCALE * uniformAt(i, 1 + tensor + 2 * micro + 4 * step),
  );
  if (step === OVERFLOWING && micro === 1 && tensor === 1) values[length - 2] = Number.POSITIVE_INFINITY;
  return values;
}

function initial(tensor: number): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length: sizeOf(TYPES[tensor]!) }, (_, i) => uniformAt(i, 90 + tensor));
}

/** hyper, for the `done`-th update from 0. */
function hyperOf({ kind, decay }: Rule, done: number): Float32Array<ArrayBuffer> {
  if (kind === 'sgd' || kind === 'nesterov')
    return Float32Array.of(RATE, MOMENTUM, Number(kind === 'nesterov'), 0, decay, Number(done === 0), 0, 1);
  const corrections = [BETA1, BETA2].map((beta) => 1 / (1 - beta ** (done + 1)));
  return Float32Array.of(RATE, BETA1, BETA2, EPS, decay, ...corrections, 1);
}

interface Run {
  readonly weights: readonly ArrayLike<number>[];
  /** Total norm of each step, -1 where it was left out. */
  readonly norms: readonly number[];
}

async function onDevice(rule: Rule): Promise<Run> {
  const store = new BufferStore(gpu);
  for (const [i, type] of TYPES.entries())
    for (const state of STATES) {
      await store.create(`${state}${i}`, type);
      const values = state === 'w' ? initial(i) : new Float32Array(sizeOf(type));
      // What a first step must not look at.
      if (state === 'gradient' || (state === 'first' && !rule.kind.startsWith('adam')))
        values.fill(Number.NaN);
      await store.write(`${state}${i}`, values);
    }
  await store.create('norms', tensorType('f32', [TYPES.length]));

  const gather = new Graph();
  const keep = gather.input('keep', 'f32', [2]);
  TYPES.forEach(({ shape }, i) => {
    // Times one: gradients come out of nodes.
    const found = weightedSum(gather, [gather.input(`g${i}`, 'f32', shape)], [1]);
    accumulate(gather, gather.weight(`gradient${i}`, 'f32', shape), found, keep);
  });

  const update = new Graph();
  const norms = update.weight('norms', 'f32', [TYPES.length]);
  const tensors = TYPES.map(({ shape }, i) =>
    STATES.map((state) => update.weight(`${state}${i}`, 'f32', shape)),
  );
  tensors.forEach(([, , , gradient], i) => {
    squareSum(update, norms, gradient!, i);
  });
  const control = clipScale(update, norms, update.input('clip', 'f32', [2]));
  const hyper = update.input('hyper', 'f32', [8]);
  for (const [w, first, second, gradient] of tensors) {
    if (rule.kind === 'sgd' || rule.kind === 'nesterov') sgd(update, w!, first!, gradient!, control, hyper);
    else adam(update, w!, first!, second!, gradient!, control, hyper, { decoupled: rule.kind === 'adamw' });
  }
  update.output('control', control);

  const [gathering, updating] = await Promise.all(
    [gather, update].map((g) => Executable.compile(gpu, plan(g, gpu.caps), store, { poison: true })),
  );
  const totals: number[] = [];
  let done = 0;
  try {
    for (let step = 0; step < STEPS; step++) {
      for (let micro = 0; micro < MICRO; micro++) {
        const gradients = TYPES.map((_, i) => [`g${i}`, gradientAt(step, micro, i)] as const);
        await gathering!.run({
          keep: Float32Array.of(Math.min(1, micro), 1 / MICRO),
          ...Object.fromEntries(gradients),
        });
      }
      const { control: found } = await updating!.run({
        clip: Float32Array.of(1 / SCALE, rule.maxNorm),
        hyper: hyperOf(rule, done),
      });
      totals.push(found![1]!);
      if (found![1]! >= 0) done++;
    }
    return { weights: await Promise.all(TYPES.map((_, i) => store.read(`w${i}`))), norms: totals };
  } finally {
    gathering!.destroy();
    updating!.destroy();
    store.destroy();
  }
}

/** The same in float64. torch.optim.Adam, AdamW and SGD; torch.nn.utils.clip_grad_norm_. */
function onPaper({ kind, decay, maxNorm }: Rule): Run {
  const parameters = TYPES.map((_, i) => {
    const w = Float64Array.from(initial(i));
    return {
      w,
      m: new Float64Array(w.length),
      v: new Float64Array(w.length),
      b: undefined as number[] | undefined,
    };
  });
  const norms: number[] = [];
  let t = 0;
  for (let step = 0; step < STEPS; step++) {
    const gradients = TYPES.map((_, i) => {
      const [a, b] = [gradientAt(step, 0, i), gradientAt(step, 1, i)];
      return Float64Array.from(a, (v, k) => (v + b[k]!) / 2 / SCALE);
    });
    const total = Math.hypot(...gradients.flatMap((g) => [...g]));
    norms.push(Number.isFinite(total) ? total : -1);
    if (!Number.isFinite(total)) continue;
    t++;
    const clip = maxNorm > 0 ? Math.min(1, maxNorm / (total + 1e-6)) : 1;
    for (const [i, p] of parameters.entries()) {
      const w = Float64Array.from(p.w);
      const g = gradients[i]!.map((v, k) => clip * v + (kind === 'adamw' ? 0 : decay * w[k]!));
      if (kind === 'sgd' || kind === 'nesterov') {
        p.b = Array.from(g, (v, k) => (p.b ? MOMENTUM * p.b[k]! + v : v));
        p.w = w.map((v, k) => v - RATE * (kind === 'nesterov' ? g[k]! + MOMENTUM * p.b![k]! : p.b![k]!));
      } else {
        p.m = p.m.map((v, k) => BETA1 * v + (1 - BETA1) * g[k]!);
        p.v = p.v.map((v, k) => BETA2 * v + (1 - BETA2) * g[k]! ** 2);
        p.w = w.map((v, k) => {
          const kept = kind === 'adamw' ? v - RATE * decay * v : v;
          const [m, s] = [p.m[k]! / (1 - BETA1 ** t), p.v[k]! / (1 - BETA2 ** t)];
          return kept - (RATE * m) / (Math.sqrt(s) + EPS);
        });
      }
    }
  }
  return { weights: parameters.map(({ w }) => w), norms };
}

test.each(RULES.map((rule) => [rule.name, rule] as const))(
  '%s: seven steps of two micro-batches, one of them not finite',
  async (_name, rule) => {
    const [got, want] = [await onDevice(rule), onPaper(rule)];
    expect(want.norms.map((v) => v < 0).indexOf(true)).toBe(OVERFLOWING);
    const tolerance = { atol: 5e-6, rtol: 5e-6 };
    expect(firstMismatch(got.norms, want.norms, tolerance)).toBeUndefined();
    got.weights.forEach((w, i) => {
      expect(firstMismatch(w, want.weights[i]!, tolerance)).toBeUndefined();
      // The comparison would see a step that is missing.
      expect(firstMismatch(initial(i), want.weights[i]!, { atol: 0.01, rtol: 0 })).toBeDefined();
    });
  },
);

test('an effect needs a weight to change', () => {
  const g = new Graph();
  const [acc, gradient, hyper] = [[5], [5], [2]].map((shape, i) => g.input(`x${i}`, 'f32', shape));
  expect(() => accumulate(g, acc!, gradient!, hyper!)).toThrow(/operand 0 in place, so it must be a weight/);
});
