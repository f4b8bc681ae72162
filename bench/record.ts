/** What a bench run says, as plain data: the JSON beside the table. Other engines' rows will have the same shape. */
import type { AdapterSource } from '../src/runtime/adapter';
import type { Gpu } from '../src/runtime/device';
import { type Summary, summarise } from './stats';

/** Our name among engines. */
export const OURS = 'mla-lp';
/** The variant of rows for which nothing special had to be done. */
export const CHOSEN = 'chosen';

/** The least work: floating-point operations, and bytes that must move when each operand moves once. */
export interface Floor {
  readonly flops: number;
  readonly bytes: number;
}

/**
 * How a row's result was verified: the case itself, some rows of it, the same variant on a smaller case of its table, or against our
 * result.
 */
export type Checked = 'this case' | 'rows of this case' | 'smaller case' | 'against mla-lp';

export interface Row extends Summary {
  readonly suite: string;
  readonly case: string;
  readonly engine: string;
  readonly variant: string;
  readonly dtype: 'f32' | 'f16';
  /** Of the floor at the median time. */
  readonly gflops: number;
  readonly gbps: number;
  /** Share of the measured ceilings: the time that the floor takes at their rates, over the median. */
  readonly share?: number;
  readonly floor: Floor;
  readonly checked?: Checked;
  /** Most bytes live on the device at once. */
  readonly peakBytes?: number;
  /** Median of the time that all threads of the engine's process spent: what counts where the device is the CPU. */
  readonly cpuMs?: number;
  /** Largest difference from our result, as a share of its largest magnitude. */
  readonly relativeError?: number;
  /** Of a whole training step, at the median time. */
  readonly imagesPerS?: number;
}

/** The device's own limits, as measured. Rates are those of the fastest run: nothing can be faster than the device. */
export interface Ceilings {
  readonly f32Gflops: number;
  readonly f16Gflops?: number;
  /** Matrix units, sums in f32. */
  readonly matrixGflops?: number;
  readonly copyGbps: number;
  readonly emptyRunMs: number;
  readonly dispatchUs?: number;
  readonly compileMs?: number;
  readonly compileParallelMs?: number;
}

/** Something that got no time. */
export interface LeftOut {
  readonly suite: string;
  readonly case: string;
  readonly variant: string;
  readonly reason: string;
}

export interface DeviceRecord {
  readonly name: string;
  readonly vendor: string;
  readonly architecture: string;
  readonly device: string;
  /** Most drivers put their own name and version here. */
  readonly description: string;
  readonly source: AdapterSource;
  readonly software: boolean;
  readonly features: readonly string[];
  readonly limits: Readonly<Record<string, number>>;
}

export interface BenchRecord {
  readonly device: DeviceRecord;
  readonly versions: {
    readonly 'mla-lp': string;
    readonly node: string;
    readonly webgpu: string;
    /** Of the other engines that have rows. */
    readonly engines?: Readonly<Record<string, string>>;
  };
  /** ISO 8601, UTC. */
  readonly date: string;
  /** `+` behind it: the working tree had changes. */
  readonly commit?: string;
  readonly clock: 'timestamp' | 'wall';
  /** Share (0..1) of all CPUs' time that other programs took meanwhile, where it was watched. */
  readonly othersCpuShare?: number;
  /** The tuned table in use, and its calls. */
  readonly tuned?: { readonly source: string; readonly rows: number };
  readonly ceilings: Ceilings;
  readonly rows: readonly Row[];
  readonly skipped: readonly LeftOut[];
  readonly failed: readonly LeftOut[];
  /** Whole sentences. */
  readonly notes?: readonly string[];
}

/**
 * Share of the measured ceilings: the slower of computing and moving the floor, over the time taken. Kernels store f16 but
 * may add in f32, so that f16 rows are judged by the fastest of all rates.
 */
export function shareOf(floor: Floor, dtype: Row['dtype'], ms: number, ceilings: Ceilings): number {
  const gflops = Math.max(
    ceilings.f32Gflops,
    ...(dtype === 'f16' ? [ceilings.f16Gflops ?? 0, ceilings.matrixGflops ?? 0] : []),
  );
  return Math.max(floor.flops / (gflops * 1e6), floor.bytes / (ceilings.copyGbps * 1e6)) / ms;
}

/** The row of one case from its timings; ours unless `what` names another engine. Without `ceilings` it has no share. */
export function rowOf(
  what: Omit<Row, 'engine' | keyof Summary | 'gflops' | 'gbps' | 'share'> & { readonly engine?: string },
  ms: readonly number[],
  ceilings?: Ceilings,
): Row {
  const summary = summarise(ms);
  const { floor, dtype } = what;
  return {
    engine: OURS,
    ...what,
    ...summary,
    gflops: floor.flops / (summary.medianMs * 1e6),
    gbps: floor.bytes / (summary.medianMs * 1e6),
    ...(ceilings && { share: shareOf(floor, dtype, summary.medianMs, ceilings) }),
  };
}

const LIMITS = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxStorageBuffersPerShaderStage',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupsPerDimension',
] as const;

export function describeDevice(gpu: Gpu): DeviceRecord {
  const { vendor, architecture, device, description } = gpu.info;
  return {
    name: gpu.name,
    vendor,
    architecture,
    device,
    description,
    source: gpu.choice.source,
    software: gpu.choice.software,
    features: [...gpu.device.features].sort(),
    limits: Object.fromEntries(LIMITS.map((limit) => [limit, gpu.device.limits[limit]])),
  };
}
