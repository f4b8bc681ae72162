/** What a trainer learns from. Pixels come when they are asked for, so that a data set need not fit memory. */
export interface TrainingSample {
  readonly abnormal: boolean;
  /** Whether the truth is known per pixel. A normal sample of a data set with masks has an empty mask. */
  readonly hasMask: boolean;
  /** Batches hold one group only: the data set's name in leave-one-out training. */
  readonly group?: string;
  /** Changes when the sample does; a resumed run compares. No file name: it may name a patient. */
  readonly identity: string;
  /** f32 [3, S, S] in 0..1 and, where `hasMask`, u8 [S, S] of 0 and 1 (all 0 when left out). */
  load(): Promise<{ readonly pixels: Float32Array; readonly mask?: Uint8Array }>;
}
