/** What holds for every op without a device: shapes, decisions, templates and limits. */
import { describe, expect, test } from 'vitest';
import { accumulateOp } from '../../src/kernels/accumulate/accumulate';
import { activationBackwardOp, activationOp } from '../../src/kernels/activation/activation';
import { normalCdf } from '../../src/kernels/activation/reference';
import { adamOp } from '../../src/kernels/adam/adam';
import { assemblePromptsOp } from '../../src/kernels/assemble-prompts/assemble-prompts';
import { assemblePromptsBackwardOp } from '../../src/kernels/assemble-prompts/assemble-prompts-backward';
import { attentionOp } from '../../src/kernels/attention/attention';
import { attentionBackwardOp } from '../../src/kernels/attention/attention-backward';
import { bceLossOp } from '../../src/kernels/bce-loss/bce-loss';
import { castOp } from '../../src/kernels/cast/cast';
import { classMapOp } from '../../src/kernels/class-map/class-map';
import { classSumOp } from '../../src/kernels/class-sum/class-sum';
import { clipScaleOp } from '../../src/kernels/clip-scale/clip-scale';
import { cosineLogitsOp } from '../../src/kernels/cosine-logits/cosine-logits';
import {
  cosineLogitsBackwardFeaturesOp,
  cosineLogitsBackwardTextOp,
} from '../../src/kernels/cosine-logits/cosine-logits-backward';
import { gatherRowsOp } from '../../src/kernels/gather-rows/gather-rows';
import { gatherRowsBackwardOp } from '../../src/kernels/gather-rows/gather-rows-backward';
import { gemmOp } from '../../src/kernels/gemm/gemm';
import { groupMeanOp } from '../../src/kernels/group-mean/group-mean';
import { groupMeanBackwardOp } from '../../src/kernels/group-mean/group-mean-backward';
import { l2NormalizeOp } from '../../src/kernels/l2-normalize/l2-normalize';
import { l2NormalizeBackwardOp } from '../../src/kernels/l2-normalize/l2-normalize-backward';
import { layerNormOp } from '../../src/kernels/layer-norm/layer-norm';
import { layerNormBackwardOp } from '../../src/kernels/layer-norm/layer-norm-backward';
import { nearestDistanceOp } from '../../src/kernels/nearest-distance/nearest-distance';
import { assembleTokensOp, patchifyOp } from '../../src/kernels/patch-embed/patch-embed';
import { reduceOp } from '../../src/kernels/reduce/reduce';
import { reduceBackwardOp } from '../../src/kernels/reduce/reduce-backward';
import { resizeBilinearOp } from '../../src/kernels/resize-bilinear/resize-bilinear';
import { resizeBilinearBackwardOp } from '../../src/kernels/resize-bilinear/resize-bilinear-backward';
import { segmentationLossOp } from '../../src/kernels/segmentation-loss/segmentation-loss';
import { sgdOp } from '../../src/kernels/sgd/sgd';
import { softmaxOp } from '../../src/kernels/softmax/softmax';
import { softmaxBackwardOp } from '../../src/kernels/softmax/softmax-backward';
import { squareSumOp } from '../../src/kernels/square-sum/square-sum';
import { anySuite } from '../../src/kernels/suite';
import { suites } from '../../src/kernels/suites';
import { warpOp } from '../../src/kernels/warp/warp';
import { weightedSumOp } from '../../src/kernels/weighted-sum/weighted-sum';
import { windowHarmonicOp } from '../../src/kernels/window-harmonic/window-harmonic';
import { type Capabilities, PORTABLE } from '../../src/runtime/capabilities';
import { ShapeError } from '../../src/runtime/errors';
import { isCannot, type Op } from '../../src/runtime/op';
import { reflect } from '../../src/runtime/reflect';
import { specialise } from '../../src/runtime/specialise';
import { type Dtype, describe as describeType, tensorType } from '../../src/runtime/tensor-type';
import { callOf } from './run-case';

const DEVICES: Record<string, Capabilities> = {
  portable: PORTABLE,
  'portable software': { ...PORTABLE, software: true },
  'software with f16': {
    ...PORTABLE,
    software: true,
    f16: true,
    subgroups: true,
    subgroupMinSize: 8,
    subgroupMaxSize: 8,
  },
  'large GPU': {
    ...PORTABLE,
    f16: true,
    subgroups: true,
    subgroupMinSize: 32,
    subgroupMaxSize: 32,
    maxInvocations: 1024,
    maxWorkgroupSizeX: 1024,
    maxWorkgroupStorage: 49152,
    maxStorageBuffers: 16,
    maxBindingBytes: 2 ** 31 - 4,
    maxBufferBytes: 2 ** 40,
  },
};

/** Ops on maps, images, losses and parameters: these are f32 whatever activations are stored in. `cast` takes bits as u32. */
const F32_ONLY = new Set([
  'resize_bilinear',
  'resize_bilinear_backward',
  'class_sum',
  'class_map',
  'bce_loss',
  'segmentation_loss',
  'accumulate',
  'cast',
  'square_sum',
  'clip_scale',
  'adam',
  'sgd',
  'warp',
  'window_harmonic',
]);

describe.each(suites.map((suite) => [suite.op.name, suite] as const))('%s', (_name, suite) => {
  const { op } = suite;

  test('has a plain variant first, and one for everything its tables hold', () => {
    expect(op.variants[0]!.name).toBe('plain');
    for (const one of suite.cases)
      expect(isCannot(op.variants[0]!.lower(callOf(suite, one), PORTABLE))).toBe(false);
  });

  test.each(Object.entries(DEVICES))('chooses a variant that can run: %s', (_device, caps) => {
    for (const one of suite.cases) {
      const call = callOf(suite, one);
      const variant = op.variants.find((v) => v.name === op.choose(call, caps));
      expect(variant, `${one.name}: ${op.choose(call, caps)}`).toBeDefined();
      expect(variant!.lower(call, caps), one.name).not.toHaveProperty('cannot');
    }
  });

  test('keeps within 8 storage buffers and 65535 workgroups, and binds every name', () => {
    for (const one of suite.cases)
      for (const variant of op.variants) {
        const lowering = variant.lower(callOf(suite, one), PORTABLE);
        if (isCannot(lowering)) continue;
        for (const { kernel, workgroups, ...given } of lowering.dispatches) {
          const text = specialise(kernel.name, kernel.wgsl, { ...given, includes: kernel.includes ?? {} });
          const { bindings } = reflect(kernel.name, text);
          expect(bindings.length, kernel.name).toBeLessThanOrEqual(8);
          expect(new Set(bindings.map((b) => b.name))).toEqual(new Set(Object.keys(given.bindings)));
          for (const n of workgroups) expect(n).toBeLessThanOrEqual(65535);
        }
      }
  });

  test('its templates parse as they stand, and say what they are', () => {
    for (const one of suite.cases)
      for (const variant of op.variants) {
        const lowering = variant.lower(callOf(suite, one), PORTABLE);
        if (isCannot(lowering)) continue;
        for (const { kernel } of lowering.dispatches) {
          expect(kernel.wgsl.startsWith('// '), `${kernel.name} has a header comment`).toBe(true);
          expect(kernel.wgsl).toMatch(/^\/\/ Grid: /m);
          expect(reflect(kernel.name, kernel.wgsl).entryPoint).toBe('main');
        }
      }
  });

  test('has cases in both storage types where it stores activations, odd sizes, and a benchmark', () => {
    const dtypes = new Set(suite.cases.flatMap((one) => callOf(suite, one).outputs.map((t) => t.dtype)));
    const takesF16 = suite.cases.some((one) => one.inputs.some((t) => t.dtype === 'f16'));
    expect(takesF16 || dtypes.has('f16') || F32_ONLY.has(op.name)).toBe(true);
    expect(suite.cases.some((one) => one.inputs.some((t) => t.shape.some((n) => n > 1 && n % 2 === 1)))).toBe(
      true,
    );
    expect(suite.cases.some((one) => one.bench)).toBe(true);
  });

  test('counts FLOPs', () => {
    for (const one of suite.cases) expect(op.flops(callOf(suite, one))).toBeGreaterThanOrEqual(0);
  });
});

test('every suite stands once in the list', () => {
  expect(new Set(suites.map((s) => s.op.name)).size).toBe(suites.length);
});

/** [op, operand types as "f32 2 3", attributes, what the message says]. */
const MAP = { index: 1, height: 4, width: 4, softmaxFirst: false };

const refusals = [
  refusal(activationOp, ['u32 4'], { kind: 'gelu' }, /not u32\[4\]/),
  refusal(activationBackwardOp, ['f32 4', 'f16 4'], { kind: 'gelu' }, /of one type/),
  refusal(patchifyOp, ['f32 1 1 28 28'], { patch: 14, dtype: 'f32' }, /not f32\[1,1,28,28\]/),
  refusal(patchifyOp, ['f32 1 3 28 30'], { patch: 14, dtype: 'f32' }, /not f32\[1,3,28,30\]/),
  refusal(patchifyOp, ['f32 1 3 13 13'], { patch: 14, dtype: 'f32' }, /13 px has no whole patch of 14 px/),
  refusal(patchifyOp, ['f32 1 3 28 28'], { patch: 0, dtype: 'f32' }, /patch of 0 px/),
  refusal(patchifyOp, ['f16 1 3 28 28'], { patch: 14, dtype: 'f16' }, /f32 \[B, 3, S, S\]/),
  refusal(assembleTokensOp, ['f32 1 4 8', 'f32 7', 'f32 5 8'], null, /must be f32\[8\], not f32\[7\]/),
  refusal(assembleTokensOp, ['f32 1 4 8', 'f32 8', 'f32 4 8'], null, /must be f32\[5,8\], not f32\[4,8\]/),
  refusal(
    assemblePromptsOp,
    ['f32 2 5 8', 'f32 6 8'],
    { dtype: 'f32' },
    /must be f32\[5,8\], not f32\[6,8\]/,
  ),
  refusal(assemblePromptsOp, ['f32 2 5 8', 'f32 5 8', 'f32 3 2 8'], { dtype: 'f32' }, /for 3 prompts, not 2/),
  refusal(
    assemblePromptsOp,
    ['f32 3 5 8', 'f32 5 8', 'f32 2 2 8', 'f32 1 3 8'],
    { dtype: 'f32' },
    /of one M, not f32\[1,3,8\]/,
  ),
  refusal(
    assemblePromptsOp,
    ['f32 3 5 8', 'f32 5 8', 'f32 1 2 8', 'f32 1 2 8', 'f32 1 2 8'],
    { dtype: 'f32' },
    /up to two contexts, not 3/,
  ),
  refusal(
    assemblePromptsBackwardOp,
    ['f32 3 5 8'],
    { first: 2, count: 2, vectors: 2 },
    /no 2 context vectors for 2 prompts from 2 on/,
  ),
  refusal(assemblePromptsBackwardOp, ['f32 3 5 8'], { first: 0, count: 2, vectors: 5 }, /no 5 context/),
  refusal(
    assemblePromptsOp,
    ['f32 2 5 8', 'f32 5 8', 'f32 2 5 8'],
    { dtype: 'f32' },
    /5 context vectors .* 5 places/,
  ),
  refusal(layerNormOp, ['f32 2 8', 'f32 7', 'f32 8'], { eps: 1e-5 }, /f32\[8\], not f32\[7\]/),
  refusal(layerNormBackwardOp, ['f32 2 8', 'f32 7', 'f32 2 8'], { eps: 1e-5 }, /f32\[8\], not f32\[7\]/),
  refusal(layerNormBackwardOp, ['f16 2 8', 'f32 8', 'f32 2 8'], { eps: 1e-5 }, /not f32\[2,8\]/),
  refusal(layerNormBackwardOp, ['f32 8', 'f32 8', 'f32 8', 'f32 1 8'], { eps: 1e-5 }, /not f32\[1,8\]/),
  refusal(gemmOp, ['f32 2 8', 'f32 4 7'], { bias: false, residual: false, weight: 'nk' }, /do not share K/),
  refusal(
    gemmOp,
    ['f32 1 8 4', 'f32 8 4'],
    { bias: false, residual: false, x: 'km', weight: 'kn' },
    /must be \[K, M\]/,
  ),
  refusal(
    gemmOp,
    ['f16 8 4', 'f16 8 4', 'f16 4 4'],
    { bias: false, residual: true, x: 'km', weight: 'kn', out: 'f32' },
    /must be f32\[4,4\], not f16\[4,4\]/,
  ),
  refusal(
    attentionBackwardOp,
    ['f32 1 5 24', 'f32 1 5 8', 'f16 1 5 8', 'f32 1 2 5'],
    { heads: 2, causal: false },
    /dy must be f32\[1,5,8\], not f16\[1,5,8\]/,
  ),
  refusal(
    attentionBackwardOp,
    ['f32 1 5 24', 'f32 1 5 8', 'f32 1 5 8', 'f32 1 5 2'],
    { heads: 2, causal: false },
    /lse must be f32\[1,2,5\], not f32\[1,5,2\]/,
  ),
  refusal(attentionOp, ['f32 1 5 100'], { heads: 3, causal: false, saveLse: false }, /not f32\[1,5,100\]/),
  refusal(weightedSumOp, ['f32 2 3', 'f32 3 2'], { factors: [1, 1] }, /one floating-point type/),
  refusal(weightedSumOp, ['f32 2', 'f32 2'], { factors: [1, Number.NaN] }, /NaN/),
  refusal(weightedSumOp, ['f32 2', 'f32 2'], { factors: [1] }, /not 2 and 1/),
  refusal(gatherRowsOp, ['f32 2 3', 'f32 4'], null, /rows u32 \[N\]/),
  refusal(gatherRowsOp, ['f32 2 3 4', 'u32 4'], null, /\[R, C\]/),
  refusal(gatherRowsBackwardOp, ['u32 4', 'f32 3 2'], { count: 5 }, /\[4, C\], not f32\[3,2\]/),
  refusal(gatherRowsBackwardOp, ['f32 4', 'f32 4 2'], { count: 5 }, /rows u32 \[N\]/),
  refusal(groupMeanOp, ['f32 5 2'], { counts: [2, 2] }, /groups of 2, 2 rows are not the 5 of x/),
  refusal(groupMeanOp, ['f32 2 2'], { counts: [2, 0] }, /groups of 2, 0 rows/),
  refusal(groupMeanBackwardOp, ['f32 2 3'], { counts: [4], dtype: 'f32' }, /groups of 4 rows/),
  refusal(groupMeanBackwardOp, ['f16 1 3'], { counts: [4], dtype: 'f16' }, /not f16\[1,3\]/),
  refusal(l2NormalizeOp, ['f32'], { eps: 1e-12 }, /not f32\[\]/),
  refusal(l2NormalizeOp, ['f32 3'], { eps: 0 }, /eps must be above 0/),
  refusal(l2NormalizeBackwardOp, ['f32 3', 'f32 4'], { eps: 1 }, /f32\[3\], not f32\[4\]/),
  refusal(l2NormalizeBackwardOp, ['f32 3', 'f32 3'], { eps: 0 }, /eps must be above 0/),
  refusal(cosineLogitsOp, ['f32 1 5 8', 'f32 2 7'], { scale: 100, skip: 1 }, /\[K, 8\], not f32\[2,7\]/),
  refusal(cosineLogitsOp, ['f32 1 5 8', 'f32 2 8'], { scale: 100, skip: 5 }, /5 of 5 tokens/),
  refusal(
    cosineLogitsBackwardFeaturesOp,
    ['f32 1 5 8', 'f32 2 8', 'f32 1 5 2'],
    { scale: 100, skip: 1 },
    /\[1, 4, K\], not f32\[1,5,2\]/,
  ),
  refusal(
    cosineLogitsBackwardFeaturesOp,
    ['f32 1 5 8', 'f32 3 8', 'f32 1 4 2'],
    { scale: 100, skip: 1 },
    /f32\[2,8\], not f32\[3,8\]/,
  ),
  refusal(cosineLogitsBackwardTextOp, ['f32 1 5 8', 'f32 1 4 2'], { scale: 100, skip: 5 }, /5 of 5 tokens/),
  refusal(nearestDistanceOp, ['f32 1 5 8', 'f32 3 7'], { skip: 1 }, /bank must be \[R, 8\], not f32\[3,7\]/),
  refusal(nearestDistanceOp, ['f32 5 8', 'f32 3 8'], { skip: 1 }, /takes q \[B, T, C\]/),
  refusal(nearestDistanceOp, ['f32 1 5 8', 'f32 3 8'], { skip: 5 }, /5 of 5 tokens/),
  refusal(
    nearestDistanceOp,
    ['f16 1 5 8', 'f16 3 8', 'f16 1 4'],
    { skip: 1 },
    /prev must be f32\[1,4\], not f16\[1,4\]/,
  ),
  refusal(softmaxOp, ['u32 3'], null, /not u32\[3\]/),
  refusal(softmaxBackwardOp, ['f32 3', 'f16 3'], null, /f32\[3\], not f16\[3\]/),
  refusal(resizeBilinearOp, ['f32 1 5 5'], { height: 9, width: 9 }, /not f32\[1,5,5\]/),
  refusal(resizeBilinearOp, ['f32 1 5 5 2'], { height: 0, width: 9 }, /\[1,0,9,2\]/),
  refusal(resizeBilinearOp, ['f32 1 5 5 2'], { height: 70000, width: 9 }, /at most 65535/),
  refusal(resizeBilinearOp, ['f32 1 5 5 2'], { height: 40000, width: 9, corners: 'halved' }, /at most 32767/),
  refusal(resizeBilinearBackwardOp, ['f32 9 9 2'], { height: 5, width: 5 }, /not f32\[9,9,2\]/),
  refusal(resizeBilinearBackwardOp, ['f32 1 9 9 2'], { height: 70000, width: 9 }, /at most 65535/),
  refusal(reduceBackwardOp, ['f32 2'], { axis: 2, length: 3, kind: 'sum', dtype: 'f32' }, /no axis at 2/),
  refusal(reduceBackwardOp, ['f16 2'], { axis: 0, length: 3, kind: 'sum', dtype: 'f16' }, /not f16\[2\]/),
  refusal(reduceOp, ['f32 2 3'], { axis: 2, kind: 'sum' }, /f32\[2,3\] has no axis 2/),
  refusal(reduceOp, ['f32 2 3'], { axis: -1, kind: 'sum' }, /has no axis -1/),
  refusal(classSumOp, [], { index: 0 }, /1 to 7 tensors, not 0/),
  refusal(
    classSumOp,
    Array.from({ length: 8 }, () => 'f32 2 2'),
    { index: 0 },
    /not 8/,
  ),
  refusal(classSumOp, ['f32 2 2', 'f32 3 2'], { index: 0 }, /one shape/),
  refusal(classSumOp, ['f32 2 2'], { index: 2 }, /no class 2/),
  refusal(classMapOp, [], MAP, /1 to 7 tensors, not 0/),
  refusal(
    classMapOp,
    Array.from({ length: 8 }, () => 'f32 1 2 2 2'),
    MAP,
    /not 8/,
  ),
  refusal(classMapOp, ['f32 1 2 2 2', 'f32 1 2 3 2'], MAP, /one shape/),
  refusal(classMapOp, ['f16 1 2 2 2'], MAP, /must be f32/),
  refusal(classMapOp, ['f32 1 2 2 2'], { ...MAP, index: 2 }, /no class 2/),
  refusal(classMapOp, ['f32 1 2 2 2'], { ...MAP, height: 70000 }, /at most 65535/),
  refusal(bceLossOp, ['f32 3 2', 'f32 3', 'f32 2', 'f32 1'], { form: 'logits' }, /weights f32 \[B\]/),
  refusal(bceLossOp, ['f32 3 1', 'f32 3', 'f32 3', 'f32 1'], { form: 'logits' }, /not f32\[3,1\]/),
  refusal(bceLossOp, [], { form: 'logits' }, /p f32 \[B, 2\]/),
  refusal(
    segmentationLossOp,
    ['f32 2 5 5 2', 'f32 2 5 4', 'f32 2', 'f32 1'],
    { normalDice: false },
    /not .*f32\[2,5,4\]/,
  ),
  refusal(
    segmentationLossOp,
    ['f16 2 5 5 2', 'f32 2 5 5', 'f32 2', 'f32 1'],
    { normalDice: true },
    /p f32 \[B, H, W, 2\]/,
  ),
  refusal(accumulateOp, ['f32 2 3', 'f32 3 2', 'f32 2'], null, /of one shape/),
  refusal(accumulateOp, ['f32 2 3', 'f32 2 3', 'f32 1'], null, /hyper f32 \[2\]/),
  refusal(castOp, ['f32 4'], { to: 'f32' }, /takes words u32 \[N\], not f32\[4\]/),
  refusal(castOp, ['u32 2 2'], { to: 'f32' }, /not u32\[2,2\]/),
  refusal(castOp, ['u32 3'], { to: 'f16' }, /even number of words/),
  refusal(squareSumOp, ['f32 3', 'f32 5 5'], { index: 3 }, /f32\[3\] has no element 3/),
  refusal(squareSumOp, ['f32 3', 'f16 5 5'], { index: 0 }, /x f32/),
  refusal(clipScaleOp, ['f32 3', 'f32 3'], { watched: 0 }, /hyper f32 \[2\]/),
  refusal(clipScaleOp, ['f32 3', 'f32 2'], { watched: 4 }, /cannot watch 4 of 3/),
  refusal(adamOp, ['f32 3', 'f32 3', 'f32 2', 'f32 3', 'f32 2', 'f32 8'], { decoupled: false }, /one shape/),
  refusal(adamOp, ['f32 3', 'f32 3', 'f32 3', 'f32 3', 'f32 1', 'f32 8'], { decoupled: false }, /a norm/),
  refusal(sgdOp, ['f32 3', 'f32 3', 'f32 3', 'f32 2', 'f32 7'], null, /hyper f32 \[8\]/),
  refusal(sgdOp, ['f32 3', 'f32 3', 'f32 3', 'f32 1', 'f32 8'], null, /a norm/),
  refusal(warpOp, ['f32 2 3 5 4', 'f32 2 6'], { threshold: false }, /\[B, C, S, S\].* not f32\[2,3,5,4\]/),
  refusal(warpOp, ['f32 2 3 5 5', 'f32 1 6'], { threshold: false }, /transforms f32 \[B, 6\]/),
  refusal(windowHarmonicOp, [], { grid: 5 }, /1 to 3 tensors, not 0/),
  refusal(windowHarmonicOp, ['f32 2 4 4', 'f32 1 3 3'], { grid: 5 }, /not f32\[1,3,3\]/),
  refusal(windowHarmonicOp, ['f32 2 4 3'], { grid: 5 }, /not f32\[2,4,3\]/),
  refusal(windowHarmonicOp, ['f32 2 6 6'], { grid: 5 }, /6 windows a side do not fit a grid of 5/),
];

function refusal<A>(op: Op<A>, inputs: readonly string[], attrs: A, message: RegExp) {
  const types = inputs.map((text) => {
    const [dtype, ...shape] = text.split(' ');
    return tensorType(dtype as Dtype, shape.map(Number));
  });
  return { op: anySuite({ op, reference: () => [], cases: [] }).op, types, attrs: attrs as unknown, message };
}

test.each(refusals.map((r) => [r.op.name, r.types.map(describeType).join(' '), r] as const))(
  '%s refuses %s',
  (_op, _types, { op, types, attrs, message }) => {
    expect(() => op.infer(types, attrs)).toThrow(ShapeError);
    expect(() => op.infer(types, attrs)).toThrow(message);
  },
);

test('each op has a refusal of its own', () => {
  expect(new Set(refusals.map((r) => r.op.name))).toEqual(new Set(suites.map((s) => s.op.name)));
});

test('the reference normal distribution function is right to f64', () => {
  // scipy.special.ndtr
  expect(normalCdf(0)).toBe(0.5);
  expect(normalCdf(1) / 0.8413447460685429 - 1).toBeCloseTo(0, 14);
  expect(normalCdf(-2.5) / 0.006209665325776132 - 1).toBeCloseTo(0, 13);
  expect(normalCdf(-4) / 3.167124183311986e-5 - 1).toBeCloseTo(0, 13);
  expect(normalCdf(-10) / 7.61985302416047e-24 - 1).toBeCloseTo(0, 12);
  expect(normalCdf(5)).toBeCloseTo(1 - 2.866515718791933e-7, 14);
});
