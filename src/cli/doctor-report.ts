/** What `mla-lp doctor` finds out, as plain data. */
import { arch, availableParallelism, cpus, platform, release, totalmem } from 'node:os';
import { loadTuning } from '../io/node/tuned-files';
import { version } from '../io/version';
import { acquireAdapter } from '../platform/node/adapter';
import { adapterAdvice } from '../platform/node/adapter-advice';
import { findSwiftShaderArchive, unpackSwiftShader } from '../platform/node/bundled-swiftshader';
import type { AdapterChoice, AdapterSource, Considered } from '../runtime/adapter';
import { PORTABLE, readMatrixConfigs } from '../runtime/capabilities';
import { Gpu } from '../runtime/device';
import { MlaLpError } from '../runtime/errors';

export interface LimitRow {
  readonly limit: string;
  readonly needs: number;
  readonly has: number;
  readonly unit: 'bytes' | '';
}

export interface DoctorReport {
  /** A device opens and computes. */
  readonly usable: boolean;
  readonly problem?: { readonly fact: string; readonly remedy: string };
  readonly system: {
    readonly mlaLp: string;
    readonly node: string;
    readonly os: string;
    readonly cpu: string;
    readonly cores: number;
    readonly memoryBytes: number;
  };
  readonly adapter?: {
    readonly vendor: string;
    readonly architecture: string;
    readonly device: string;
    /** Most drivers put their own name and version here. */
    readonly description: string;
    readonly source: AdapterSource;
    readonly software: boolean;
    readonly reason: string;
  };
  readonly considered: readonly Considered[];
  readonly limits: readonly LimitRow[];
  readonly features?: {
    readonly f16: boolean;
    readonly subgroups: false | { readonly min: number; readonly max: number };
    readonly timestamps: boolean;
    /** One line for each configuration of matrix units. */
    readonly subgroupMatrix: readonly string[];
  };
  readonly precision?: {
    readonly modes: readonly ('f32' | 'f16')[];
    readonly pick: 'f32';
    readonly why: string;
  };
  /** Variants that were tuned for this adapter; why a table is not used is a note. */
  readonly tuned?: { readonly source: string; readonly rows: number; readonly notes: readonly string[] };
  readonly advice: readonly string[];
  /** What to set for Deno, which does not find the bundled SwiftShader by itself. */
  readonly denoEnvironment?: Readonly<Record<string, string>>;
}

// The engine needs no more than what WebGPU guarantees, so that these rows fail on broken drivers only.
const LIMITS = [
  ['maxStorageBufferBindingSize', PORTABLE.maxBindingBytes, 'bytes'],
  ['maxBufferSize', PORTABLE.maxBufferBytes, 'bytes'],
  ['maxComputeWorkgroupStorageSize', PORTABLE.maxWorkgroupStorage, 'bytes'],
  ['maxComputeInvocationsPerWorkgroup', PORTABLE.maxInvocations, ''],
  ['maxStorageBuffersPerShaderStage', PORTABLE.maxStorageBuffers, ''],
  ['maxComputeWorkgroupsPerDimension', PORTABLE.maxWorkgroupsPerDimension, ''],
] as const;

/** Looks for an adapter, opens a device and computes with it. Never throws for lack of one. */
export async function examine(): Promise<DoctorReport> {
  const system = {
    mlaLp: version,
    node: process.version,
    os: `${platform()} ${release()} ${arch()}`,
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryBytes: totalmem(),
  };
  let choice: AdapterChoice;
  try {
    choice = await acquireAdapter();
  } catch (error) {
    const problem = problemOf(error);
    return { usable: false, problem, system, considered: [], limits: [], advice: [] };
  }
  const { info, limits, features } = choice.adapter;
  const f16 = features.has('shader-f16');
  const failure = await tryDevice(choice);
  const tuning = await loadTuning(info, choice.software);
  return {
    usable: failure === undefined,
    ...(failure && { problem: failure }),
    system,
    adapter: {
      vendor: info.vendor,
      architecture: info.architecture,
      device: info.device,
      description: info.description,
      source: choice.source,
      software: choice.software,
      reason: choice.reason,
    },
    considered: choice.considered,
    limits: LIMITS.map(([limit, needs, unit]) => ({ limit, needs, has: limits[limit], unit })),
    features: {
      f16,
      subgroups: features.has('subgroups') && {
        min: info.subgroupMinSize ?? 0,
        max: info.subgroupMaxSize ?? 0,
      },
      timestamps: features.has('timestamp-query'),
      subgroupMatrix: readMatrixConfigs(info).map(
        ({ M, N, K, component, result }) => `${M}x${N}x${K} ${component} -> ${result}`,
      ),
    },
    precision: {
      modes: f16 ? ['f32', 'f16'] : ['f32'],
      pick: 'f32',
      why: precisionAdvice(f16, choice.software),
    },
    ...(tuning && { tuned: { source: tuning.source, rows: tuning.table.size, notes: tuning.notes } }),
    advice: adapterAdvice(process.platform, choice.source),
    ...denoEnvironment(choice),
  };
}

function precisionAdvice(f16: boolean, software: boolean): string {
  if (!f16) return 'this adapter has no f16 arithmetic (shader-f16)';
  return software
    ? 'f16 works, but computing on the CPU it is no faster'
    : 'exact to about 1e-4; --precision f16 needs half the memory, exact to about 1e-2';
}

async function tryDevice(choice: AdapterChoice): Promise<DoctorReport['problem']> {
  try {
    const gpu = await Gpu.open(choice);
    try {
      await computeCheck(gpu);
    } finally {
      gpu.destroy();
    }
    return undefined;
  } catch (error) {
    return problemOf(error);
  }
}

const CHECK = `
@group(0) @binding(0) var<storage, read_write> values: array<u32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  values[id.x] = id.x * id.x;
}`;

/** Computes squares with the bare API: a driver that opens devices but does not compute is of no use. */
async function computeCheck(gpu: Gpu): Promise<void> {
  const { device } = gpu;
  const count = 1024;
  const storage = device.createBuffer({ size: 4 * count, usage: 0x80 | 0x4 }); // STORAGE | COPY_SRC
  const staging = device.createBuffer({ size: 4 * count, usage: 0x1 | 0x8 }); // MAP_READ | COPY_DST
  const module = device.createShaderModule({ code: CHECK });
  const pipeline = await gpu.guard(
    device.createComputePipelineAsync({ layout: 'auto', compute: { module } }),
  );
  const entries = [{ binding: 0, resource: { buffer: storage } }];
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }));
  pass.dispatchWorkgroups(count / 64);
  pass.end();
  encoder.copyBufferToBuffer(storage, 0, staging, 0, 4 * count);
  device.queue.submit([encoder.finish()]);
  await gpu.guard(staging.mapAsync(0x1));
  const wrong = new Uint32Array(staging.getMappedRange()).findIndex((value, i) => value !== i * i);
  staging.unmap();
  if (wrong >= 0) {
    throw new MlaLpError(
      'gpu-error',
      `The device computes wrongly (element ${wrong} of a test).`,
      'Update its driver.',
    );
  }
}

function problemOf(error: unknown): { fact: string; remedy: string } {
  if (error instanceof MlaLpError) return { fact: error.fact, remedy: error.remedy };
  return { fact: String(error), remedy: 'Please report this.' };
}

function denoEnvironment(choice: AdapterChoice): Pick<DoctorReport, 'denoEnvironment'> {
  const archive = choice.source === 'bundled-swiftshader' && findSwiftShaderArchive();
  if (!archive) return {};
  const { folder, driverJson } = unpackSwiftShader(archive);
  return {
    denoEnvironment: { LD_LIBRARY_PATH: folder, VK_DRIVER_FILES: driverJson, DENO_WEBGPU_BACKEND: 'vulkan' },
  };
}
