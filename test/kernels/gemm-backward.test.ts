/** What GEMM's backward builds, beside the numbers that gradients.test.ts checks: no node too many, sums for free, storage types. */
import { expect, test } from 'vitest';
import { type GemmAttrs, type GemmOptions, gemm, gemmHalves, gemmOp } from '../../src/kernels/gemm/gemm';
import { uniformAt } from '../../src/kernels/suite';
import { addAll } from '../../src/kernels/weighted-sum/weighted-sum';
import { BufferStore } from '../../src/runtime/buffer-store';
import { PORTABLE } from '../../src/runtime/capabilities';
import { Executable } from '../../src/runtime/executable';
import { gradients } from '../../src/runtime/gradients';
import { Graph, type GraphNode, type Tensor } from '../../src/runtime/graph';
import { plan } from '../../src/runtime/plan';
import { type Dtype, describe as describeType, tensorType } from '../../src/runtime/tensor-type';
import { openTestGpu } from '../helpers/gpu';

const gpu = await openTestGpu();

/** The nodes that the gradient of one gemm of [2, 3, 8] with [4, 8] adds, and the gradients. */
function backwardOf(
  trained: readonly ('x' | 'w' | 'bias' | 'residual')[],
  options: Omit<GemmOptions, 'bias' | 'residual'> = {},
  [xDtype, wDtype]: readonly [Dtype, Dtype] = ['f32', 'f32'],
) {
  const g = new Graph();
  const kn = options.weight === 'kn';
  const operands: Record<string, Tensor> = {
    x: g.input('x', xDtype, [2, 3, 8]),
    w: g.input('w', wDtype, kn ? [8, 4] : [4, 8]),
    bias: g.input('bias', 'f32', [4]),
  };
  const { x, w, bias } = operands;
  const residual = trained.includes('residual')
    ? g.input('residual', options.out ?? xDtype, [2, 3, 4])
    : undefined;
  if (residual) operands.residual = residual;
  const y = gemm(g, x!, w!, { ...options, bias: bias!, ...(residual && { residual }) });
  const seed = g.input('seed', y.dtype, y.shape);
  const before = g.nodes.length;
  const found = gradients(g, {
    seeds: [{ tensor: y, gradient: seed }],
    wrt: trained.map((name) => operands[name]!),
    add: (terms) => addAll(g, terms),
  });
  const of = (name: string) => found.get(operands[name]!);
  return { g, seed, of, nodes: g.nodes.slice(before) };
}

const ops = (nodes: readonly GraphNode[]) => nodes.map(({ op }) => op.name);

test('what is not trained gets no node', () => {
  expect(ops(backwardOf(['x']).nodes)).toEqual(['gemm']);
  expect(ops(backwardOf(['w']).nodes)).toEqual(['gemm']);
  expect(ops(backwardOf(['bias']).nodes)).toEqual(['reduce']);
  const { of, seed, nodes } = backwardOf(['residual'], { activation: 'gelu' });
  expect(nodes).toEqual([]);
  expect(of('residual')).toBe(seed);
});

test('leaky_relu takes its slope from y; with a residual, and for GELU, z is computed once more', () => {
  expect(ops(backwardOf(['x'], { activation: 'leaky_relu' }).nodes)).toEqual(['activation_backward', 'gemm']);
  expect(ops(backwardOf(['x', 'residual'], { activation: 'leaky_relu' }).nodes)).toEqual([
    'gemm',
    'activation_backward',
    'gemm',
  ]);
  const { nodes } = backwardOf(['x'], { activation: 'gelu' });
  expect(ops(nodes)).toEqual(['gemm', 'activation_backward', 'gemm']);
  expect((nodes[0]!.attrs as GemmAttrs).activation).toBeUndefined();
});

test.each([
  ['f16', 'f32', 'f32', 'nk'],
  ['f16', 'f32', undefined, 'nk'],
  ['f16', 'f32', undefined, 'kn'],
  ['f32', 'f16', undefined, 'nk'],
  ['f16', 'f16', 'f32', 'kn'],
] as const)('x %s, w %s, y %s, %s: gradients have their operands types', (x, w, out, weight) => {
  for (const activation of [undefined, 'gelu', 'leaky_relu'] as const) {
    const options = { weight, ...(out && { out }), ...(activation && { activation }) };
    const { g, of } = backwardOf(['x', 'w', 'bias', 'residual'], options, [x, w]);
    expect(describeType(of('x')!.type)).toBe(`${x}[2,3,8]`);
    expect(describeType(of('w')!.type)).toBe(`${w}[${weight === 'kn' ? '8,4' : '4,8'}]`);
    expect(describeType(of('bias')!.type)).toBe('f32[4]');
    for (const name of ['x', 'w', 'bias']) g.output(name, of(name)!);
    expect(() => plan(g, { ...PORTABLE, f16: true })).not.toThrow();
  }
});

test.each([
  ['nk', 'mk'],
  ['kn', 'mk'],
  ['nk', 'km'],
  ['kn', 'km'],
] as const)('two uses of x and of w (%s, %s) are summed within the products', async (weight, layout) => {
  const [m, k, n] = [6, 8, 4];
  const g = new Graph();
  const km = layout === 'km';
  const kn = weight === 'kn';
  const x = g.input('x', 'f32', km ? [k, m] : [m, k]);
  const w = g.input('w', 'f32', kn ? [k, n] : [n, k]);
  const ys = [0, 1].map(() => gemm(g, x, w, { x: layout, weight }));
  const seeds = ys.map((tensor, i) => ({ tensor, gradient: g.input(`seed${i}`, 'f32', tensor.shape) }));
  const before = g.nodes.length;
  const found = gradients(g, { seeds, wrt: [x, w], add: (terms) => addAll(g, terms) });
  expect(ops(g.nodes.slice(before))).toEqual(['gemm', 'gemm', 'gemm', 'gemm']);
  g.output('dx', found.get(x)!);
  g.output('dw', found.get(w)!);
  const fill = (length: number, seed: number) => Float32Array.from({ length }, (_, i) => uniformAt(i, seed));
  const data = { x: fill(m * k, 1), w: fill(n * k, 2), seed0: fill(m * n, 3), seed1: fill(m * n, 4) };
  const executable = await Executable.compile(gpu, plan(g, gpu.caps), new BufferStore(gpu), { poison: true });
  const got = await executable.run(data);
  executable.destroy();
  const at = (mm: number, kk: number, nn: number) => ({
    x: km ? kk * m + mm : mm * k + kk,
    w: kn ? kk * n + nn : nn * k + kk,
    y: mm * n + nn,
  });
  const want = { dx: new Float64Array(m * k), dw: new Float64Array(n * k) };
  for (let mm = 0; mm < m; mm++)
    for (let kk = 0; kk < k; kk++)
      for (let nn = 0; nn < n; nn++) {
        const i = at(mm, kk, nn);
        const dy = data.seed0[i.y]! + data.seed1[i.y]!;
        want.dx[i.x]! += dy * data.w[i.w]!;
        want.dw[i.w]! += dy * data.x[i.x]!;
      }
  for (const name of ['dx', 'dw'] as const)
    for (const [i, value] of want[name].entries()) expect(got[name]![i]).toBeCloseTo(value, 4);
});

test('halves of odd columns, with a bias or a residual, are refused', () => {
  const of = (columns: number, more: Partial<GemmAttrs> = {}) => {
    const attrs: GemmAttrs = { bias: false, residual: false, weight: 'nk', halves: true, ...more };
    const bias = attrs.bias ? [tensorType('f32', [columns])] : [];
    const residual = attrs.residual ? [tensorType('f32', [3, columns])] : [];
    const operands = [tensorType('f32', [3, 8]), tensorType('f32', [columns, 8]), ...bias, ...residual];
    return gemmOp.infer(operands, attrs).map(describeType);
  };
  expect(of(6)).toEqual(['f32[3,3]', 'f32[3,3]']);
  for (const refused of [() => of(5), () => of(6, { bias: true }), () => of(6, { residual: true })])
    expect(refused).toThrow('halves need an even N, not');
});

test('halves have no backward, and need none where nothing of them is trained', () => {
  const g = new Graph();
  const [x, w] = [g.input('x', 'f32', [3, 8]), g.weight('w', 'f32', [4, 8])];
  const [first, second] = gemmHalves(g, x, w);
  expect(describeType(second.type)).toBe('f32[3,2]');
  const seeds = [{ tensor: first, gradient: g.input('seed', 'f32', [3, 2]) }];
  const of = (wrt: Tensor[]) => gradients(g, { seeds, wrt, add: (terms) => addAll(g, terms) });
  expect(() => of([x])).toThrow('halves have no backward');
  expect(of([g.weight('other', 'f32', [1])]).size).toBe(0);
});
