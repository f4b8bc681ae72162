/** What a training run saves: enough that a resumed run goes on as if nothing had happened. */

export interface SavedTensor {
  readonly shape: readonly number[];
  readonly values: Float32Array<ArrayBuffer>;
}

export interface TrainingState {
  /** Parameters under their names in checkpoints, f32. */
  readonly parameters: ReadonlyMap<string, SavedTensor>;
  /** The optimiser's tensors, keyed `<slot>.<parameter>`, f32; none in a finished model. */
  readonly slots: ReadonlyMap<string, SavedTensor>;
  /** Strings only; JSON where structured. */
  readonly metadata: ReadonlyMap<string, string>;
}
