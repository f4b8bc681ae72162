/**
 * The engine without any model: one MLP block of a transformer, y = x + gelu(LayerNorm(x) W1^T + b1) W2^T + b2.
 * After `npm run build`: node examples/engine/mlp.mjs
 */
import { openDevice } from 'mla-lp';
import { gemm, layerNorm } from 'mla-lp/kernels';
import { BufferStore, Executable, formatPlan, Graph, plan } from 'mla-lp/runtime';

const [tokens, width, hidden] = [290, 192, 768];

// The graph is plain data: shapes are checked here, no GPU is touched.
const g = new Graph();
const x = g.input('x', 'f32', [tokens, width]);
const weight = (name, ...shape) => g.weight(name, 'f32', shape);
const normed = layerNorm(g, x, weight('ln.weight', width), weight('ln.bias', width));
const mid = gemm(g, normed, weight('fc1.weight', hidden, width), {
  bias: weight('fc1.bias', hidden),
  activation: 'gelu',
});
const y = gemm(g, mid, weight('fc2.weight', width, hidden), { bias: weight('fc2.bias', width), residual: x });
g.output('y', y);

const gpu = await openDevice();
console.log(gpu.name);

// Weights stay on the device, under their names.
const store = new BufferStore(gpu);
for (const [name, { type, shape }] of g.weights) {
  await store.create(name, type);
  const count = shape.reduce((a, b) => a * b, 1);
  await store.write(
    name,
    Float32Array.from({ length: count }, () => (Math.random() - 0.5) / Math.sqrt(width)),
  );
}

const planned = plan(g, gpu.caps);
console.log(formatPlan(planned));

const executable = await Executable.compile(gpu, planned, store);
const input = Float32Array.from({ length: tokens * width }, () => Math.random() - 0.5);
const out = await executable.run({ x: input });
console.log(`y[0, 0..3] = ${[...out.y.subarray(0, 4)].map((value) => value.toFixed(4)).join(', ')}`);

if (gpu.device.features.has('timestamp-query')) {
  for (const { label, variant, nanoseconds, flops } of await executable.profile({ x: input })) {
    console.log(
      `${label} (${variant}): ${(nanoseconds / 1e6).toFixed(2)} ms, ${(flops / nanoseconds).toFixed(2)} GFLOP/s`,
    );
  }
}

executable.destroy();
store.destroy();
gpu.destroy();
process.exit();
