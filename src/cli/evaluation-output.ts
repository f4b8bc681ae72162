/** What an evaluation leaves in its folder. */
import { join } from 'node:path';
import { imagesCsv, imagesJsonl } from '../evaluation/image-table';
import type { EvaluationRecord } from '../evaluation/record';
import { recordText } from '../evaluation/summary';
import { writeFileAtomic } from '../io/node/write-file';
import { recordPath } from './evaluation-run';

export async function writeEvaluation(record: EvaluationRecord, out: string): Promise<void> {
  await writeFileAtomic(join(out, 'images.jsonl'), encoded(imagesJsonl(record)));
  await writeFileAtomic(join(out, 'images.csv'), encoded(imagesCsv(record)));
  await writeFileAtomic(recordPath(out), encoded([recordText(record)]));
}

function* encoded(texts: Iterable<string>): Generator<Uint8Array> {
  const encoder = new TextEncoder();
  for (const text of texts) yield encoder.encode(text);
}
