/** What an evaluation leaves in its folder: results for machines, a report for people. */
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { FusedResults } from '../evaluation/fusion';
import { imagesCsv, imagesJsonl } from '../evaluation/image-table';
import type { RawResults } from '../evaluation/raw-results';
import type { EvaluationRecord } from '../evaluation/record';
import { recordText } from '../evaluation/summary';
import { previousPath } from '../io/node/generations';
import { writeFileAtomic } from '../io/node/write-file';
import { readImage } from '../platform/node/decode-image';
import { encodeJpeg } from '../platform/node/encode-png';
import {
  type EvaluationPicture,
  evaluationPage,
  mapContour,
  maskContour,
  type PictureSource,
  reportPictures,
} from '../report';
import { MlaLpError } from '../runtime/errors';
import { recordPath } from './evaluation-run';

export interface EvaluationOutput {
  readonly record: EvaluationRecord;
  readonly raw: RawResults;
  /** Where an image of this name lies now; undefined where it is not at hand. */
  readonly pathOf: (name: string) => string | undefined;
  readonly out: string;
  /** Images shown in the report at most. */
  readonly pictures: number;
}

/**
 * Writes images.jsonl, images.csv, report.html and, last, results.json: where that is, the others are its own. Results of an
 * earlier evaluation are called results.json.previous meanwhile.
 */
export async function writeEvaluation(output: EvaluationOutput): Promise<void> {
  const { record, raw, out, pictures } = output;
  const fused = new FusedResults(raw);
  const range = rangeOfMaps(fused, record);
  const path = recordPath(out);
  const earlier = previousPath(path);
  await rename(path, earlier).catch(ignoreMissing);
  await writeFileAtomic(join(out, 'images.jsonl'), encoded(imagesJsonl(record)));
  await writeFileAtomic(join(out, 'images.csv'), encoded(imagesCsv(record)));
  const page = evaluationPage(record, pictureSource(output, fused, range), { maxPictures: pictures, range });
  await writeFileAtomic(join(out, 'report.html'), encoded(page));
  await writeFileAtomic(path, encoded([recordText(record)]));
  await rm(earlier, { force: true });
}

function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error;
}

/** One range for all heatmaps, so that their colours can be compared. */
function rangeOfMaps(
  { scaling, results }: FusedResults,
  { images }: EvaluationRecord,
): readonly [number, number] {
  const high = images.reduce((most, { parts }) => Math.max(most, parts.mapMax), 0);
  // Fused maps begin at 0 or above; others at the lowest value there is.
  const low = scaling ? 0 : results.reduce((least, r) => Math.min(least, r.zeroShotRange[0]), high);
  return high > low ? [low, high] : [low, low + 1];
}

function pictureSource(
  { record, raw, pathOf }: EvaluationOutput,
  fused: FusedResults,
  range: readonly [number, number],
): PictureSource {
  const { size } = raw.header;
  return async (index): Promise<EvaluationPicture | undefined> => {
    const result = fused.results[index]!;
    const path = pathOf(result.name);
    if (path === undefined) return undefined;
    try {
      const { map, mask } = await fused.fused(result);
      const image = await readImage(path);
      const { original, heatmap } = reportPictures(image, map, size, { range });
      const { width, height } = original;
      const target = { target: { width, height } };
      return {
        original: await encodeJpeg(original),
        heatmap: await encodeJpeg(heatmap),
        width,
        height,
        ...(mask && { truth: maskContour(mask, size, size, target) }),
        ...(record.pixel && { predicted: mapContour(map, size, size, record.pixel.f1max.threshold, target) }),
      };
    } catch (error) {
      // It was there when it was scored; a report without this picture is better than none.
      if (error instanceof MlaLpError) return undefined;
      throw error;
    }
  };
}

async function* encoded(texts: Iterable<string> | AsyncIterable<string>): AsyncGenerator<Uint8Array> {
  const encoder = new TextEncoder();
  for await (const text of texts) yield encoder.encode(text);
}
