import type { RawMaps, RawOutcome } from './raw-results';

/** Takes results one by one, as they are found. */
export interface ResultSink {
  /** Whether an earlier run has this image already. */
  has(index: number): boolean;
  /** @param maps go with a result, not with a failure. */
  append(outcome: RawOutcome, maps?: RawMaps): Promise<void>;
}
