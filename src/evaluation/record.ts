/** What an evaluation found: the one structure that results files, reports, tables and merges speak. */
import type { PixelMetrics, RankingMetrics } from '../metrics/metrics';

/** `few-shot`: zero-shot results fused with distances to a memory bank. `zero-shot`: no bank. */
export type Protocol = 'few-shot' | 'zero-shot';

/** Which state of the training was evaluated. `best-on-test` repeats the authors' choice, which looks at the test set. */
export type Selection = 'last-epoch' | 'best-on-test';

export interface EvaluatedImage {
  /** Path relative to the data set's folder, with slashes. */
  readonly name: string;
  readonly abnormal: boolean;
  /** Whether pixel labels exist; a normal image of a data set with masks has them (all normal). */
  readonly hasMask: boolean;
  /** The protocol's image score: higher is more abnormal; comparable within this evaluation only. */
  readonly score: number;
  /** Parts of the score before fusion: `zeroShot` the detection score, `fewShot` the bank's, `mapMax` the final map's maximum. */
  readonly parts: { readonly zeroShot: number; readonly fewShot?: number; readonly mapMax: number };
}

export interface EvaluationRecord {
  readonly format: 'mla-lp evaluation 1';
  readonly dataset: string;
  readonly protocol: Protocol;
  readonly method: string;
  readonly preset: string;
  readonly selection: Selection;
  /** Images scored. */
  readonly n: number;
  readonly image: RankingMetrics;
  /** Only where the data set has masks. */
  readonly pixel?: PixelMetrics;
  readonly images: readonly EvaluatedImage[];
  /** Images that could not be read or scored, left out of every number above. */
  readonly failures: readonly { readonly name: string; readonly message: string }[];
  /** What made it: weights, model, shots, image size, precision, seed, ... */
  readonly configuration: Readonly<Record<string, string | number | boolean>>;
  /** mla-lp, runtime, adapter. */
  readonly versions: Readonly<Record<string, string>>;
  /** Command lines that made it, in order. */
  readonly commands: readonly string[];
  /** ISO 8601, UTC. */
  readonly created: string;
}
