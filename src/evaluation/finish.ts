/** From what the images gave to an evaluation's record: protocol, metrics, intervals. */
import type { BootstrapOptions } from '../metrics';
import { pixelMetrics, rankingMetrics } from '../metrics';
import { FusedResults } from './fusion';
import { isFailure, type RawResults, rangeOf } from './raw-results';
import type { EvaluatedImage, EvaluationRecord } from './record';

export interface FinishOptions extends BootstrapOptions {
  /** When it was made; now unless told. */
  readonly created?: Date;
  /** Called while pixels are ranked. @param share 0..1. */
  readonly onFinishing?: (share: number) => void;
}

/**
 * Applies the protocol and computes the metrics. Maps are read one at a time, several times over.
 * @returns metrics that are NaN where one of the classes is missing.
 */
export async function finishEvaluation(
  raw: RawResults,
  options: FinishOptions = {},
): Promise<EvaluationRecord> {
  const { header, outcomes, versions, commands } = raw;
  const { created = new Date() } = options;
  const results = new FusedResults(raw);
  const images: EvaluatedImage[] = [];
  for await (const { result, score, map } of results) {
    const { name, abnormal, hasMask, zeroShot, fewShot } = result;
    const [, mapMax] = rangeOf(map);
    const parts = { zeroShot, ...(fewShot !== undefined && { fewShot }), mapMax };
    images.push({ name, abnormal, hasMask, score, parts });
    options.onFinishing?.(images.length / results.results.length / PASSES);
  }
  const image = rankingMetrics(
    images.map(({ abnormal }) => abnormal),
    images.map(({ score }) => score),
    options,
  );
  const pixel = header.hasMasks
    ? await pixelMetrics(pixelsOf(results, options.onFinishing), options)
    : undefined;
  const { size, fused: _fused, hasMasks: _masks, n: _n, images: _images, configuration, ...about } = header;
  return {
    format: 'mla-lp evaluation 1',
    ...about,
    n: images.length,
    image,
    ...(pixel && { pixel }),
    images,
    failures: outcomes.filter(isFailure).map(({ name, error }) => ({ name, message: error })),
    configuration: { imageSize: size, ...configuration },
    versions,
    commands,
    created: created.toISOString(),
  };
}

/** Passes over all maps that progress is measured by; the pixel metrics may need more for large data sets. */
const PASSES = 4;

/** Maps with pixel labels, as often as they are wanted. */
function pixelsOf(
  fused: FusedResults,
  onFinishing: FinishOptions['onFinishing'],
): AsyncIterable<{ map: Float32Array; mask: Uint8Array }> {
  let passes = 0;
  return {
    async *[Symbol.asyncIterator]() {
      passes++;
      let done = 0;
      const labelled = fused.results.filter(({ hasMask }) => hasMask);
      for (const result of labelled) {
        const { map, mask } = await fused.fused(result);
        yield { map, mask: mask! };
        onFinishing?.(Math.min(1, (passes + ++done / labelled.length) / PASSES));
      }
    },
  };
}
