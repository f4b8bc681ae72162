/** What models would run on GPUs that no machine here has: every text of their plans compiles in Dawn. */
import { expect, test } from 'vitest';
import { readClipConfig } from '../../src/model/clip-config';
import { mlaLpGraph } from '../../src/model/mla-lp-graph';
import { AUTHORS } from '../../src/model/presets';
import { syntheticClip } from '../../src/model/synthetic';
import { textGraph } from '../../src/model/text-tower';
import { type Capabilities, MATRIX_FEATURE, PORTABLE } from '../../src/runtime/capabilities';
import type { Graph } from '../../src/runtime/graph';
import { plan } from '../../src/runtime/plan';
import { reflect } from '../../src/runtime/reflect';
import type { Dtype } from '../../src/runtime/tensor-type';
import { parametersOf } from '../../src/training/parameters';
import {
  prefixGraph,
  type StepGraphOptions,
  stepGraph,
  trainedParameters,
} from '../../src/training/step-graph';
import { updateGraph } from '../../src/training/update-graph';
import { complaints, openNullDevice } from '../helpers/null-device';

const GIB = 2 ** 30;
const large = {
  ...PORTABLE,
  f16: true,
  subgroups: true,
  maxInvocations: 1024,
  maxWorkgroupSizeX: 1024,
  maxStorageBuffers: 16,
  maxBindingBytes: 2 * GIB - 4,
  maxBufferBytes: 4 * GIB,
};

/** What Dawn tells of such GPUs: subgroups, workgroup memory, matrix units. */
const GPUS: Readonly<Record<string, Capabilities>> = {
  'NVIDIA, Vulkan': {
    ...large,
    subgroupMinSize: 32,
    subgroupMaxSize: 32,
    maxWorkgroupStorage: 49152,
    matrixConfigs: [{ component: 'f16', result: 'f32', M: 16, N: 16, K: 16 }],
  },
  'Apple, Metal': {
    ...large,
    subgroupMinSize: 32,
    subgroupMaxSize: 32,
    maxWorkgroupStorage: 32768,
    matrixConfigs: [
      { component: 'f32', result: 'f32', M: 8, N: 8, K: 8 },
      { component: 'f16', result: 'f16', M: 8, N: 8, K: 8 },
    ],
  },
  'Intel, Direct3D': { ...large, subgroupMinSize: 8, subgroupMaxSize: 32, maxWorkgroupStorage: 32768 },
  'AMD, Vulkan': { ...large, subgroupMinSize: 32, subgroupMaxSize: 64, maxWorkgroupStorage: 65536 },
  'a GPU of the least that WebGPU promises': PORTABLE,
};

/** Of what their plans consist of, the kernels that make the difference. */
const EXPECTED: Readonly<Record<string, readonly string[]>> = {
  'NVIDIA, Vulkan': [
    'gemm matrix_128x64',
    'gemm tiled_128x64',
    'attention matrix_32x64',
    'layer_norm subgroup',
  ],
  'Apple, Metal': ['gemm matrix_128x64', 'attention matrix_16x32', 'layer_norm subgroup'],
  'Intel, Direct3D': ['gemm tiled_128x64', 'attention blocked_32x32', 'layer_norm workgroup'],
  'AMD, Vulkan': ['gemm tiled_128x64', 'attention blocked_32x32', 'layer_norm workgroup'],
  'a GPU of the least that WebGPU promises': ['gemm tiled_128x64', 'layer_norm workgroup'],
};

const vitl14 = readClipConfig(syntheticClip('vitl14'));
// Blocks are alike: one between two adapters has all shapes.
const config = { ...vitl14, layers: 4, textLayers: 1 };

function graphs(dtype: Dtype, batch: number): Graph[] {
  const model = {
    config,
    preset: AUTHORS,
    activation: AUTHORS.activation,
    dtype,
    batch,
    imageSize: 240,
    stages: 4,
  };
  const parameters = parametersOf(config, 4, 8);
  const prompts = { counts: { normal: 10, abnormal: 11 }, length: 20 };
  const step: StepGraphOptions = {
    ...{ ...model, adapterDtype: 'f32', prompts, parameters, recompute: 0 },
    ...{ masks: true, augment: true },
  };
  return [
    mlaLpGraph(model),
    mlaLpGraph({ ...model, bank: { dtype, tileRows: 4 * 289, tiles: 2 } }),
    textGraph(21, 20, { ...model, causal: true }),
    prefixGraph(step),
    stepGraph(step),
    updateGraph(trainedParameters(parameters, true), 'adamw', ['det', 'seg']),
  ];
}

const device = await openNullDevice([MATRIX_FEATURE, 'shader-f16', 'subgroups' as GPUFeatureName]);
/** Of the null device; larger tiles cannot become pipelines there. */
const { maxComputeWorkgroupStorageSize: storage, maxComputeInvocationsPerWorkgroup: invocations } =
  device.limits;
const known = new Map<string, Promise<string[]>>();

test.each(Object.keys(GPUS))('%s', async (name) => {
  const caps = GPUS[name]!;
  const dtypes: Dtype[] = caps.f16 ? ['f32', 'f16'] : ['f32'];
  const variants = new Set<string>();
  for (const dtype of dtypes)
    for (const batch of [1, 16])
      for (const graph of graphs(dtype, batch))
        for (const { node, variant, dispatches } of plan(graph, caps).steps) {
          variants.add(`${node.op.name} ${variant}`);
          for (const { wgsl, dispatch } of dispatches) {
            if (!known.has(wgsl))
              known.set(wgsl, complaints(device, wgsl, reflect(dispatch.kernel.name, wgsl).entryPoint));
            const found = (await known.get(wgsl)!).filter((text) => !tooLarge(text));
            expect(found, `${node.label}: ${variant}`).toEqual([]);
          }
        }
  for (const variant of EXPECTED[name]!) expect([...variants]).toContain(variant);
  const units = [...variants].filter((variant) => / matrix/.test(variant));
  expect(units.length > 0).toBe(caps.matrixConfigs.length > 0);
});

/** A complaint about the null device's limits, which the GPU does not have. */
function tooLarge(text: string): boolean {
  return new RegExp(`(storage|invocations).*(${storage}|${invocations})`, 's').test(text);
}
