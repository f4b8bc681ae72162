/** The workloads as ONNX graphs, with the operators that exporters and ONNX Runtime's own optimiser use for such models. */
import { basename } from 'node:path';
import type { Task } from '../engine';
import {
  type BlockWork,
  type GemmWork,
  gemmWeight,
  operandOf,
  resultShape,
  sizesOf,
  type TowerWork,
} from '../workloads';
import { OnnxModel } from './model';

/**
 * How attention is written. Version 1.30.0 computes MultiHeadAttention by a kernel that was wrong by 1 to 3 % on lavapipe
 * (subgroups of 8) for 64 tokens and more, 2026-11-26; the same out of MatMul and Softmax was right.
 */
export const WAYS = ['MultiHeadAttention', 'attention of MatMul and Softmax'] as const;

/** Outputs: `y0`, the first repetition's whole result; `small`, a few values that need all repetitions. */
export function modelOf(task: Task, repeats: number): Uint8Array<ArrayBuffer> {
  const { work } = task;
  if (work.kind === 'gemm') return gemmModel(work, task, repeats);
  return work.kind === 'block' ? blockModel(work, task, repeats) : towerModel(work, task);
}

/** Operands are constants: they lie on the device, and a run moves nothing. It must not be optimised, or repetitions may merge. */
function gemmModel(work: GemmWork, { dtype }: Task, repeats: number): Uint8Array<ArrayBuffer> {
  const m = new OnnxModel();
  const { shape, values } = operandOf(work);
  const x = m.constant('x', dtype, shape, values);
  const w = m.constant('w', dtype, [work.depth, work.columns], gemmWeight(work));
  const corner = cornerOf(m, 2);
  const small: string[] = [];
  for (let r = 0; r < repeats; r++) small.push(corner(m.node('MatMul', [x, w], { name: `y${r}` })));
  m.output('y0', dtype, resultShape(work));
  m.node('Concat', small, { name: 'small', attributes: { axis: { int: 0 } } });
  m.output('small', dtype, [repeats, 1]);
  return m.finish();
}

/** A block of a block, and so on. The input `one` keeps the operand from being folded away. */
function blockModel(work: BlockWork, task: Task, repeats: number): Uint8Array<ArrayBuffer> {
  const { dtype } = task;
  const m = new OnnxModel();
  const { shape, values } = operandOf(work);
  const one = m.input('one', dtype, [1]);
  let x = m.node('Mul', [m.constant('x', dtype, shape, values), one]);
  const block = blockBuilder(m, work, task);
  for (let r = 0; r < repeats; r++) x = block(x, 0, `y${r}`);
  m.output('y0', dtype, shape);
  m.node('Identity', [cornerOf(m, 3)(x)], { name: 'small' });
  m.output('small', dtype, [1, 1, 1]);
  return m.finish();
}

function towerModel(work: TowerWork, task: Task): Uint8Array<ArrayBuffer> {
  const { dtype } = task;
  const { batch } = work;
  const { width, patch, grid, layers, tokens } = sizesOf(work);
  const m = new OnnxModel();
  const weight = weightReader(m, task);
  const images = m.input('images', 'f32', operandOf(work).shape);
  const typed = dtype === 'f16' ? m.node('Cast', [images], { attributes: { to: { int: 10 } } }) : images;
  const kernel = weight('visual.conv1.weight', [width, 3, patch, patch]);
  const patches = m.node('Conv', [typed, kernel], {
    attributes: { kernel_shape: { ints: [patch, patch] }, strides: { ints: [patch, patch] } },
  });
  const flat = m.node('Reshape', [patches, m.constant('flat', 'i64', [3], [batch, width, grid * grid])]);
  const rows = m.node('Transpose', [flat], { attributes: { perm: { ints: [0, 2, 1] } } });
  const first = m.node('Expand', [
    weight('visual.class_embedding', [1, 1, width]),
    m.constant('class_shape', 'i64', [3], [batch, 1, width]),
  ]);
  const assembled = m.node('Concat', [first, rows], { attributes: { axis: { int: 1 } } });
  const positions = weight(`visual.positional_embedding@${grid}`, [1, tokens, width]);
  let x = layerNorm(m, weight, m.node('Add', [assembled, positions]), 'visual.ln_pre');
  const block = blockBuilder(m, work, task, weight);
  for (let i = 0; i < layers; i++) x = block(x, i, i === layers - 1 ? 'y0' : undefined);
  m.output('y0', dtype, [batch, tokens, width]);
  const bounds = ['starts', 'ends', 'axes'].map((name, i) =>
    m.constant(name, 'i64', [1], [[0], [1], [1]][i]!),
  );
  m.node('Slice', [x, ...bounds], { name: 'small' });
  m.output('small', dtype, [batch, 1, width]);
  return m.finish();
}

type WeightReader = (name: string, shape?: readonly number[]) => string;

/** Each weight once, by reference into the weights file, which lies beside the model. */
function weightReader(m: OnnxModel, { weights, dtype }: Task): WeightReader {
  const seen = new Set<string>();
  return (name, shape) => {
    const { offset, bytes, shape: stored } = weights!.tensors[name]!;
    if (!seen.has(name)) {
      const file = basename(weights!.path);
      m.constant(name, dtype, shape ?? stored, { file, offset, bytes });
      seen.add(name);
    }
    return name;
  };
}

function layerNorm(m: OnnxModel, weight: WeightReader, x: string, name: string): string {
  // The default epsilon, 1e-5, is ours.
  return m.node('LayerNormalization', [x, weight(`${name}.weight`), weight(`${name}.bias`)], {
    attributes: { axis: { int: -1 } },
  });
}

/** Pre-LN block `index` on x [batch, tokens, width]. */
function blockBuilder(
  m: OnnxModel,
  work: BlockWork | TowerWork,
  task: Task,
  weight = weightReader(m, task),
): (x: string, index: number, name?: string) => string {
  const { heads, tokens, width } = sizesOf(work);
  const { batch } = work;
  const attention = task.way === 1 ? writtenOut() : fused;
  const linear = (x: string, name: string) =>
    m.node('Add', [
      m.node('MatMul', [x, weight(name.replace(/@$/, 'weight'))]),
      weight(name.replace(/@$/, 'bias')),
    ]);
  return (x, index, name) => {
    const at = `visual.transformer.resblocks.${index}.`;
    const qkv = linear(layerNorm(m, weight, x, `${at}ln_1`), `${at}attn.in_proj_@`);
    const [q, k, v] = m.split([qkv], 3, { axis: { int: -1 }, num_outputs: { int: 3 } });
    const attended = attention(q!, k!, v!);
    const middle = m.node('Add', [x, linear(attended, `${at}attn.out_proj.@`)]);
    const hidden = m.node('Gelu', [linear(layerNorm(m, weight, middle, `${at}ln_2`), `${at}mlp.c_fc.@`)]);
    return m.node('Add', [middle, linear(hidden, `${at}mlp.c_proj.@`)], name ? { name } : {});
  };

  function fused(q: string, k: string, v: string): string {
    const attributes = { num_heads: { int: heads } };
    return m.node('MultiHeadAttention', [q, k, v], { contrib: true, attributes });
  }

  function writtenOut() {
    const size = width / heads;
    const split = m.constant('split', 'i64', [4], [batch, tokens, heads, size]);
    const join = m.constant('join', 'i64', [3], [batch, tokens, width]);
    const scale = m.constant('scale', task.dtype, [1], [1 / Math.sqrt(size)]);
    const turn = (x: string, perm: readonly number[]) =>
      m.node('Transpose', [x], { attributes: { perm: { ints: perm } } });
    const perHead = (x: string, perm: readonly number[]) => turn(m.node('Reshape', [x, split]), perm);
    return (q: string, k: string, v: string) => {
      const scores = m.node('MatMul', [perHead(q, [0, 2, 1, 3]), perHead(k, [0, 2, 3, 1])]);
      const shares = m.node('Softmax', [m.node('Mul', [scores, scale])], {
        attributes: { axis: { int: -1 } },
      });
      const mixed = m.node('MatMul', [shares, perHead(v, [0, 2, 1, 3])]);
      return m.node('Reshape', [turn(mixed, [0, 2, 1, 3]), join]);
    };
  }
}

/** Slices the first element out of tensors of a rank. */
function cornerOf(m: OnnxModel, rank: number): (x: string) => string {
  const bound = (name: string, value: number) =>
    m.constant(
      name,
      'i64',
      [rank],
      Array.from({ length: rank }, () => value),
    );
  const [zero, one] = [bound('zeros', 0), bound('ones', 1)];
  return (x) => m.node('Slice', [x, zero, one]);
}
