/**
 * Race gate: wgsl_reflect runs all invocations of a workgroup in lockstep between barriers and reports two that touch the
 * same bytes, one of them writing. The gate is only worth as much as what it finds, so each barrier of each kernel is also
 * taken out once, and must be missed.
 */
import { describe, expect, test } from 'vitest';
import { detectRaces } from 'wgsl_reflect/wgsl_reflect.module.js';
import { attentionOp } from '../../src/kernels/attention/attention';
import { attentionBackwardOp } from '../../src/kernels/attention/attention-backward';
import { cosineLogitsOp } from '../../src/kernels/cosine-logits/cosine-logits';
import {
  cosineLogitsBackwardFeaturesOp,
  cosineLogitsBackwardTextOp,
} from '../../src/kernels/cosine-logits/cosine-logits-backward';
import { gemmOp } from '../../src/kernels/gemm/gemm';
import { l2NormalizeOp } from '../../src/kernels/l2-normalize/l2-normalize';
import { l2NormalizeBackwardOp } from '../../src/kernels/l2-normalize/l2-normalize-backward';
import { layerNormOp } from '../../src/kernels/layer-norm/layer-norm';
import { layerNormBackwardOp } from '../../src/kernels/layer-norm/layer-norm-backward';
import { nearestDistanceOp } from '../../src/kernels/nearest-distance/nearest-distance';
import { reduceOp } from '../../src/kernels/reduce/reduce';
import { segmentationLossOp } from '../../src/kernels/segmentation-loss/segmentation-loss';
import { softmaxOp } from '../../src/kernels/softmax/softmax';
import { softmaxBackwardOp } from '../../src/kernels/softmax/softmax-backward';
import { squareSumOp } from '../../src/kernels/square-sum/square-sum';
import { anySuite, uniformAt } from '../../src/kernels/suite';
import { suites } from '../../src/kernels/suites';
import { PORTABLE } from '../../src/runtime/capabilities';
import { type Dispatch, isCannot, type Lowering, type Op, type Operand } from '../../src/runtime/op';
import { reflect } from '../../src/runtime/reflect';
import { specialise } from '../../src/runtime/specialise';
import { byteSize, tensorType } from '../../src/runtime/tensor-type';

interface Gate {
  readonly name: string;
  readonly op: Op<unknown>;
  readonly variant: string;
  readonly shapes: readonly (readonly number[])[];
  readonly attrs: unknown;
  /** Texts to replace, so that the interpreter has less to do. */
  readonly shrink: Readonly<Record<string, string>>;
}

function gate<A>(
  op: Op<A>,
  variant: string,
  shapes: readonly (readonly number[])[],
  attrs: A,
  shrink: Record<string, string> = {},
): Gate {
  const erased = anySuite({ op, reference: () => [], cases: [] }).op;
  return {
    name: `${op.name} ${variant} ${JSON.stringify(attrs)}`,
    op: erased,
    variant,
    shapes,
    attrs,
    shrink,
  };
}

/** GEMM's tile of 64 x 64 by 16 x 16 made one of 16 x 16 by 4 x 4, with slices of 4. */
const SMALL_TILE: Record<string, string> = Object.fromEntries(
  [
    { names: ['BM', 'BN'], from: 64, to: 16 },
    { names: ['WX', 'WY'], from: 16, to: 4 },
    { names: ['SIZE'], from: 256, to: 16 },
    { names: ['BK'], from: 16, to: 4 },
    { names: ['A_LINE', 'B_LINE'], from: 17, to: 5 },
    { names: ['A_SIZE', 'B_SIZE'], from: 272, to: 80 }, // elements, see `elementwise`
  ].flatMap(({ names, from, to }) =>
    names.map((name) => [`const ${name}: u32 = ${from}u`, `const ${name}: u32 = ${to}u`]),
  ),
);

/** The same with GEMM's tiles as arrays of elements: the interpreter takes a component of a vec4 in memory for all of the array. */
function elementwise(text: string): string {
  const four = (of: (i: number) => string, between: string) => [0, 1, 2, 3].map(of).join(between);
  return text
    .replace(/(var<workgroup> [ab]_tile: array)<vec4<T>/g, '$1<T')
    .replace(
      /vec4<f32>\(([ab]_tile)\[(.*?)\]\)/g,
      (_, tile, at) => `vec4<f32>(${four((i) => `${tile}[4u * (${at}) + ${i}u]`, ', ')})`,
    )
    .replace(/([ab]_tile)\[([^\]\n]*)\]\[(line % 4u)\] =/g, '$1[4u * ($2) + $3] =')
    .replace(/([ab]_tile)\[([^\]\n]*)\] = v;/g, (_, tile, at) =>
      four((i) => `${tile}[4u * (${at}) + ${i}u] = v[${i}u];`, '\n'),
    );
}

// The smallest shapes on which every loop around a barrier turns twice: the interpreter is slow.
const gates: readonly Gate[] = [
  gate(layerNormOp, 'workgroup', [[1, 3], [3], [3]], { eps: 1e-5 }),
  gate(layerNormBackwardOp, 'workgroup', [[1, 3], [3], [1, 3]], { eps: 1e-5 }),
  gate(
    l2NormalizeBackwardOp,
    'workgroup',
    [
      [1, 3],
      [1, 3],
    ],
    { eps: 1e-12 },
  ),
  gate(
    softmaxBackwardOp,
    'workgroup',
    [
      [1, 3],
      [1, 3],
    ],
    null,
  ),
  gate(l2NormalizeOp, 'workgroup', [[1, 3]], { eps: 1e-12 }),
  gate(softmaxOp, 'workgroup', [[1, 3]], null),
  gate(reduceOp, 'workgroup', [[1, 3, 1]], { axis: 1, kind: 'sum' }),
  gate(reduceOp, 'workgroup', [[1, 3, 1]], { axis: 1, kind: 'max' }),
  gate(
    cosineLogitsOp,
    'workgroup',
    [
      [1, 2, 3],
      [2, 3],
    ],
    { scale: 100, skip: 1 },
  ),
  gate(
    cosineLogitsBackwardFeaturesOp,
    'workgroup',
    [
      [1, 2, 3],
      [2, 3],
      [1, 1, 2],
    ],
    { scale: 100, skip: 1 },
  ),
  gate(
    cosineLogitsBackwardTextOp,
    'workgroup',
    [
      [1, 2, 3],
      [1, 1, 2],
    ],
    { scale: 100, skip: 1 },
  ),
  gate(
    gemmOp,
    'tiled',
    [
      [3, 8],
      [3, 8],
    ],
    { bias: false, residual: false, weight: 'nk' },
    SMALL_TILE,
  ),
  gate(
    gemmOp,
    'tiled',
    [
      [3, 8],
      [8, 4],
    ],
    { bias: false, residual: false, weight: 'kn' },
    SMALL_TILE,
  ),
  gate(
    gemmOp,
    'tiled',
    [
      [8, 4],
      [8, 4],
    ],
    { bias: false, residual: false, x: 'km', weight: 'kn' },
    SMALL_TILE,
  ),
  gate(
    nearestDistanceOp,
    'tiled',
    [
      [1, 4, 8],
      [40, 8],
    ],
    { skip: 1 },
    {
      'const SLICE: u32 = 16u': 'const SLICE: u32 = 4u',
      'const SIDE: u32 = 64u': 'const SIDE: u32 = 32u',
      '@workgroup_size(16, 16)': '@workgroup_size(8, 8)',
      'i < 16u; i++) {\n      best': 'i < 8u; i++) {\n      best',
    },
  ),
  gate(attentionOp, 'blocked_32x16', [[1, 17, 12]], { heads: 1, causal: false, saveLse: false }),
  gate(attentionOp, 'tiled', [[1, 17, 12]], { heads: 1, causal: false, saveLse: false }),
  gate(
    attentionBackwardOp,
    'blocked_32x16',
    [
      [1, 17, 12],
      [1, 17, 4],
      [1, 17, 4],
      [1, 1, 17],
    ],
    { heads: 1, causal: false },
  ),
  gate(
    attentionBackwardOp,
    'tiled',
    [
      [1, 9, 24],
      [1, 9, 8],
      [1, 9, 8],
      [1, 1, 9],
    ],
    { heads: 1, causal: false },
  ),
  gate(squareSumOp, 'workgroup', [[1], [3]], { index: 0 }),
  gate(segmentationLossOp, 'workgroup', [[1, 1, 3, 2], [1, 1, 3], [1], [1]], { normalDice: false }),
];

function loweringOf({ op, variant, shapes, attrs }: Gate): {
  lowering: Lowering;
  bytes: (operand: Operand) => number;
} {
  const inputs = shapes.map((shape) => tensorType('f32', shape));
  const outputs = op.infer(inputs, attrs);
  const lowering = op.variants.find((v) => v.name === variant)!.lower({ inputs, outputs, attrs }, PORTABLE);
  if (isCannot(lowering)) throw new Error(lowering.cannot);
  const typeOf = (operand: Operand) => {
    if ('input' in operand) return inputs[operand.input]!;
    return 'output' in operand ? outputs[operand.output]! : lowering.scratch![operand.scratch]!;
  };
  return { lowering, bytes: (operand) => byteSize(typeOf(operand)) };
}

/** The first races that one workgroup of a dispatch has. */
function racesOf(dispatch: Dispatch, text: string, bytes: (operand: Operand) => number): string[] {
  const { entryPoint, bindings } = reflect(dispatch.kernel.name, text);
  const group = Object.fromEntries(
    bindings.map(({ name, binding }) => {
      const length = bytes(dispatch.bindings[name]!) / 4;
      return [binding, Float32Array.from({ length }, (_, i) => uniformAt(i, binding))];
    }),
  );
  const { races, errors } = detectRaces(text, entryPoint, [1, 1, 1], { 0: group });
  expect(errors, 'the interpreter runs the kernel').toEqual([]);
  return races.slice(0, 3).map((race) => race.message);
}

/** The kernel's text; the interpreter overlooks a barrier that opens a block, so a statement goes before it. */
function textOf({ kernel, ...given }: Dispatch, shrink: Gate['shrink']): string {
  let text = specialise(kernel.name, kernel.wgsl, { ...given, includes: kernel.includes ?? {} });
  for (const [from, to] of Object.entries(shrink)) {
    expect(text).toContain(from);
    text = text.replace(from, to);
  }
  return elementwise(text).replace(/\{(\s*)(?=workgroupBarrier\(\);)/g, '{$1let before_barrier = 0u;$1');
}

const BARRIER = 'workgroupBarrier();';

describe.each(gates.map((one) => [one.name, one] as const))('%s', (_name, one) => {
  const { lowering, bytes } = loweringOf(one);
  const dispatches = lowering.dispatches.filter(({ kernel }) => kernel.wgsl.includes(BARRIER));

  test('has no race', () => {
    expect(dispatches.length).toBeGreaterThan(0);
    for (const dispatch of dispatches)
      expect(racesOf(dispatch, textOf(dispatch, one.shrink), bytes)).toEqual([]);
  });

  const barriers = dispatches.flatMap((dispatch) => {
    const parts = textOf(dispatch, one.shrink).split(BARRIER);
    return parts.slice(1).map((_, i) => ({ dispatch, parts, i: i + 1 }));
  });
  test.each(barriers)('has one without barrier $i', ({ dispatch, parts, i }) => {
    const without = `${parts.slice(0, i).join(BARRIER)}${parts.slice(i).join(BARRIER)}`;
    expect(racesOf(dispatch, without, bytes)).not.toEqual([]);
  });
});

test('every variant with a barrier stands at the gate', () => {
  const withBarrier = suites.flatMap(({ op, cases }) =>
    op.variants
      .filter(
        (variant) =>
          !variant.sibling &&
          cases.some((one) => {
            const outputs = op.infer(one.inputs, one.attrs);
            const lowering = variant.lower({ inputs: one.inputs, outputs, attrs: one.attrs }, PORTABLE);
            return !isCannot(lowering) && lowering.dispatches.some((d) => d.kernel.wgsl.includes(BARRIER));
          }),
      )
      .map((variant) => `${op.name} ${variant.name}`),
  );
  expect(new Set(gates.map((one) => `${one.op.name} ${one.variant}`))).toEqual(new Set(withBarrier));
});
