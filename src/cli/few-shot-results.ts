/**
 * What `detect` makes of few-shot detections. Zero-shot and few-shot parts have other scales, and what they are scaled by, the
 * extremes over all images, is known at the end: until then maps wait in a file.
 */
import type { SavedCalibration } from '../evaluation/calibration';
import { fuseMaps, fuseScores, type Scaling, scalingOf } from '../evaluation/fusion';
import { type Judgement, judge } from '../evaluation/judge';
import { type RawResult, rangeOf } from '../evaluation/raw-results';
import { platform } from '../library/platform';
import type { Detection } from '../model/detector';
import type { Spill } from '../model/spill';
import type { Picture } from './pictures';

export interface FewShotResult {
  readonly picture: Picture;
  /** Without the bank. */
  readonly score: number;
  readonly levels: readonly number[];
  /** Mean over pixels of the detection head's distances, and the largest of the segmentation head's. */
  readonly memory: { readonly mean: number; readonly max: number };
  /**
   * With two images or more: 0.5 of each part, scaled to 0..1 over all images, or as the model's threshold was chosen. Undefined of
   * one image without a threshold, whose extremes are its own.
   */
  readonly fused?: { readonly score: number; readonly mapMax: number };
  /** f32 [size, size]: fused, 0..1, or of one image the segmentation map without the bank. */
  readonly map: Float32Array<ArrayBuffer>;
  readonly size: number;
  readonly judgement?: Judgement;
}

type Kept = Pick<FewShotResult, 'picture' | 'score' | 'levels' | 'size'> & { readonly raw: RawResult };

export class FewShotResults {
  readonly #kept: Kept[] = [];
  #spill: Promise<Spill> | undefined;

  /** @param calibration the model's threshold, if it has one. */
  constructor(private readonly calibration?: SavedCalibration) {}

  /** @param detection one with `memory`. */
  async add(picture: Picture, { score, levels, map, size, memory }: Detection): Promise<void> {
    const { map: distances, detMean } = memory!;
    const index = this.#kept.length;
    const both = new Float32Array(2 * map.length);
    both.set(map);
    both.set(distances, map.length);
    this.#spill ??= platform().openSpill(both.byteLength);
    await (await this.#spill).write(index, new Uint8Array(both.buffer));
    const raw: RawResult = {
      index,
      name: picture.path,
      abnormal: false,
      hasMask: false,
      zeroShot: score,
      zeroShotRange: rangeOf(map),
      fewShot: detMean,
      fewShotRange: rangeOf(distances),
    };
    this.#kept.push({ picture, score, levels, size, raw });
  }

  /** All results, in the order they were added. */
  async *[Symbol.asyncIterator](): AsyncGenerator<FewShotResult> {
    const scaling = this.calibration?.scaling
      ? this.calibration.scaling
      : this.#kept.length > 1
        ? scalingOf(this.#kept.map(({ raw }) => raw))
        : undefined;
    for (const kept of this.#kept) yield this.#result(kept, scaling);
  }

  async close(): Promise<void> {
    // Where none could be opened, `add` has said so.
    await (await this.#spill?.catch(() => undefined))?.close();
  }

  async #result({ raw, ...kept }: Kept, scaling: Scaling | undefined): Promise<FewShotResult> {
    const bytes = await (await this.#spill!).read(raw.index);
    const both = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
    const [zeroShot, fewShot] = [both.slice(0, both.length / 2), both.slice(both.length / 2)];
    const memory = { mean: raw.fewShot!, max: raw.fewShotRange![1] };
    const judgement =
      this.calibration &&
      judge({ ...kept, map: zeroShot, memory: { map: fewShot, detMean: raw.fewShot! } }, this.calibration);
    const judged = judgement && { judgement };
    if (!scaling) return { ...kept, ...judged, memory, map: zeroShot };
    const map = fuseMaps({ zeroShot, fewShot }, scaling);
    return {
      ...kept,
      ...judged,
      memory,
      map,
      fused: { score: fuseScores(raw, scaling), mapMax: rangeOf(map)[1] },
    };
  }
}
