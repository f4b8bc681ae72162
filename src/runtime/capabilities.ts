/** What `choose` may look at: limits and features of a device, as plain data, so that decisions can be tested without one. */
import type { TunedTable } from './tuned';

export interface Capabilities {
  /** The adapter computes on a CPU (SwiftShader, lavapipe, WARP): barriers are dear, workgroup memory buys nothing. */
  readonly software: boolean;
  readonly f16: boolean;
  readonly subgroups: boolean;
  readonly subgroupMinSize: number;
  readonly subgroupMaxSize: number;
  readonly maxInvocations: number;
  readonly maxWorkgroupSizeX: number;
  readonly maxWorkgroupStorage: number;
  readonly maxStorageBuffers: number;
  readonly maxBindingBytes: number;
  readonly maxBufferBytes: number;
  readonly maxWorkgroupsPerDimension: number;
  /** What was measured on this device; `plan` asks it before `choose`. */
  readonly tuned?: TunedTable;
  /** Variants ("op name") that computed wrongly on this device when they were asked; they do not apply there. */
  readonly refused?: readonly string[];
  /** What matrix units offer to subgroups, preferred ones first; empty without the feature. */
  readonly matrixConfigs: readonly MatrixConfig[];
}

/** Products of an M x K by a K x N matrix that a subgroup can add to an M x N one at once. Types are WGSL's names. */
export interface MatrixConfig {
  readonly component: string;
  readonly result: string;
  readonly M: number;
  readonly N: number;
  readonly K: number;
}

/** WebGPU's guaranteed minimum: what a kernel may count on everywhere. */
export const PORTABLE: Capabilities = {
  software: false,
  f16: false,
  subgroups: false,
  subgroupMinSize: 0,
  subgroupMaxSize: 0,
  maxInvocations: 256,
  maxWorkgroupSizeX: 256,
  maxWorkgroupStorage: 16384,
  maxStorageBuffers: 8,
  maxBindingBytes: 128 * 1024 * 1024,
  maxBufferBytes: 256 * 1024 * 1024,
  maxWorkgroupsPerDimension: 65535,
  matrixConfigs: [],
};

/** Dawn's name for matrix units; WebGPU has none yet. */
export const MATRIX_FEATURE = 'chromium-experimental-subgroup-matrix' as GPUFeatureName;

/** Dawn lists matrix units in a member that WebGPU does not define yet. */
export function readMatrixConfigs(info: GPUAdapterInfo): MatrixConfig[] {
  type Listed = Omit<MatrixConfig, 'component' | 'result'> & {
    readonly componentType: string;
    readonly resultComponentType: string;
  };
  const { subgroupMatrixConfigs: listed } = info as { subgroupMatrixConfigs?: Iterable<Listed> };
  return Array.from(listed ?? [], ({ M, N, K, componentType, resultComponentType }) => ({
    component: componentType,
    result: resultComponentType,
    ...{ M, N, K },
  }));
}

/** Reads capabilities off an opened device. */
export function readCapabilities(device: GPUDevice, info: GPUAdapterInfo, software: boolean): Capabilities {
  const { limits, features } = device;
  return {
    software,
    f16: features.has('shader-f16'),
    subgroups: features.has('subgroups'),
    subgroupMinSize: info.subgroupMinSize ?? 0,
    subgroupMaxSize: info.subgroupMaxSize ?? 0,
    maxInvocations: limits.maxComputeInvocationsPerWorkgroup,
    maxWorkgroupSizeX: limits.maxComputeWorkgroupSizeX,
    maxWorkgroupStorage: limits.maxComputeWorkgroupStorageSize,
    maxStorageBuffers: limits.maxStorageBuffersPerShaderStage,
    maxBindingBytes: limits.maxStorageBufferBindingSize,
    maxBufferBytes: limits.maxBufferSize,
    maxWorkgroupsPerDimension: limits.maxComputeWorkgroupsPerDimension,
    matrixConfigs: features.has(MATRIX_FEATURE) ? readMatrixConfigs(info) : [],
  };
}

/**
 * Workgroup counts for `groups` independent workgroups, folded into x and y so that no count exceeds the device's limit.
 * The kernel's index is `workgroup_id.y * num_workgroups.x + workgroup_id.x`; it must ignore indices past the end.
 */
export function foldGrid(groups: number, caps: Capabilities): [number, number, number] {
  const max = caps.maxWorkgroupsPerDimension;
  if (groups <= max) return [groups, 1, 1];
  const rows = Math.ceil(groups / max);
  return [Math.ceil(groups / rows), rows, 1];
}
