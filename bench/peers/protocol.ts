/** Messages between `bench peers` and the process of an engine: one request at a time, one answer each. */
import type { Floor } from '../record';
import type { EngineInfo, Placement, Task } from './engine';

export interface Requests {
  readonly open: { readonly ask: Record<string, never>; readonly answer: EngineInfo };
  readonly prepare: { readonly ask: PrepareRequest; readonly answer: PrepareAnswer };
  /** One timed run. */
  readonly sample: { readonly ask: Record<string, never>; readonly answer: Timing };
  /** Frees what `prepare` made. */
  readonly release: { readonly ask: Record<string, never>; readonly answer: ReleaseAnswer };
}

export interface PrepareRequest {
  readonly task: Task;
  /** Computations are repeated within a run until it takes about this long, ms. */
  readonly targetMs: number;
  readonly mostRepeats: number;
  /** Where the result goes: f32, as this machine stores them. */
  readonly resultPath: string;
}

export interface PrepareAnswer {
  readonly repeats: number;
  readonly floor?: Floor;
  readonly placement?: Placement;
}

export interface ReleaseAnswer {
  /** Time of all the process's threads since it was started. */
  readonly wholeCpuMs: number;
}

/** Of one computation. */
export interface Timing {
  readonly ms: number;
  /** Time of all the process's threads. */
  readonly cpuMs: number;
}

export type RequestName = keyof Requests;

export interface Request<Name extends RequestName = RequestName> {
  readonly id: number;
  readonly name: Name;
  readonly ask: Requests[Name]['ask'];
}

export type Reply =
  | { readonly id: number; readonly answer: unknown }
  /** The engine cannot; its process lives on. */
  | { readonly id: number; readonly error: string };
