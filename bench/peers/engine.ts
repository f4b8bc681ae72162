/** What a child process needs of an engine, ours or another's. */
import type { AdapterNames } from '../../src/runtime/adapter';
import type { Precision } from '../../src/runtime/device';
import type { Floor } from '../record';
import type { WeightsIndex } from './weights-file';
import type { Work } from './workloads';

export interface EngineInfo {
  readonly version: string;
  readonly dtypes: readonly Precision[];
  /** Ways to express a model, best first, where there are several: when one computes wrongly here, the next is tried. */
  readonly ways?: readonly string[];
  /** What readers of its times must know. */
  readonly note?: string;
  /** Where the engine can tell. */
  readonly adapter?: AdapterNames;
}

export interface Engine extends EngineInfo {
  /** Everything that a first run needs. @param repeats wished for within one timed run. */
  prepare(task: Task, repeats: number): Promise<Prepared>;
}

/** Plain data: goes through messages. */
export interface Task {
  readonly work: Work;
  readonly dtype: Precision;
  /** Which of the engine's ways; the first without it. */
  readonly way?: number;
  /** Blocks and towers: their weights. */
  readonly weights?: WeightsIndex;
}

export interface Prepared {
  /** Computations that one `run` does, at least 1. */
  readonly repeats: number;
  /** The least work of one computation; ours tells it. */
  readonly floor?: Floor;
  /** Which of the engine's backends computed it, where the engine can tell after a first run. */
  readonly placement?: Placement;
  /** Ends when the device has finished, or with a few values read back. */
  run(): Promise<void>;
  /** The first computation's whole result. */
  result(): Promise<Float32Array>;
  destroy(): Promise<void>;
}

/** Plain data: goes through messages. */
export interface Placement {
  /** The one backend that all nodes of the model ran on. */
  readonly backend: string;
  readonly nodes: number;
}

/** Engine name, and how to get it; called in the child process. */
export type EngineLoader = () => Promise<Engine>;
