/** The experiments behind a table of results: which there are, what each is called, and whether earlier results belong to them. */
import type { Protocol } from './record';

export interface Cell {
  readonly protocol: Protocol;
  readonly method: string;
  /** What is tested. */
  readonly dataset: string;
  /** Of the few-shot protocol. */
  readonly shots?: number;
  readonly seed: number;
}

export interface GridOptions {
  readonly protocol: Protocol;
  readonly methods: readonly string[];
  readonly datasets: readonly string[];
  /** Of no account in the zero-shot protocol. */
  readonly shots: readonly number[];
  readonly seeds: readonly number[];
}

/** All combinations, each once: methods of one shot and seed one after another, so that a table's rows fill together. */
export function gridCells({ protocol, methods, datasets, shots, seeds }: GridOptions): Cell[] {
  const cells: Cell[] = [];
  for (const seed of new Set(seeds)) {
    for (const k of protocol === 'few-shot' ? new Set(shots) : [undefined]) {
      for (const dataset of new Set(datasets)) {
        for (const method of new Set(methods)) {
          cells.push({ protocol, method, dataset, ...(k !== undefined && { shots: k }), seed });
        }
      }
    }
  }
  return cells;
}

/** A cell's folder below the grid's, with slashes; also what messages call it. */
export function cellPath({ protocol, method, dataset, shots, seed }: Cell): string {
  const parts = [
    protocol,
    method,
    dataset,
    ...(shots === undefined ? [] : [`${shots}-shot`]),
    `seed-${seed}`,
  ];
  return parts.join('/');
}

/** What all cells of a grid have in common and what their results depend on: weights, image size, numbers of training, ... */
export type GridIdentity = Readonly<Record<string, string | number | boolean>>;

/** @returns what differs first, in words; undefined where nothing does. */
export function identityDifference(before: GridIdentity, now: GridIdentity): string | undefined {
  for (const key of new Set([...Object.keys(before), ...Object.keys(now)])) {
    if (before[key] !== now[key])
      return `${key} was ${before[key] ?? 'not given'} and is ${now[key] ?? 'not given'}`;
  }
  return undefined;
}
