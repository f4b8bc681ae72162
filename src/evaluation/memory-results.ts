/** Raw results in memory: for pages, and for data sets small enough. Four bytes a pixel and map. */

import type { RawHeader, RawMaps, RawOutcome, RawResults } from './raw-results';
import type { ResultSink } from './result-sink';

export class MemoryResults implements RawResults, ResultSink {
  readonly #outcomes = new Map<number, RawOutcome>();
  readonly #maps = new Map<number, RawMaps>();

  constructor(
    readonly header: RawHeader,
    readonly versions: Readonly<Record<string, string>> = {},
    readonly commands: readonly string[] = [],
  ) {}

  get outcomes(): readonly RawOutcome[] {
    return [...this.#outcomes.values()].sort((a, b) => a.index - b.index);
  }

  has(index: number): boolean {
    return this.#outcomes.has(index);
  }

  async append(outcome: RawOutcome, maps?: RawMaps): Promise<void> {
    this.#outcomes.set(outcome.index, outcome);
    if (maps) this.#maps.set(outcome.index, maps);
  }

  async maps(index: number): Promise<RawMaps> {
    return this.#maps.get(index)!;
  }
}
