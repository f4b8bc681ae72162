/** The evaluation report's text: what it says, what it must not say, and what it holds for machines. */
import { createHash } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import type { EvaluationRecord } from '../../src/evaluation/record';
import { parseRecord, recordText } from '../../src/evaluation/summary';
import { type EvaluationPageOptions, evaluationPage, type PictureSource } from '../../src/report';
import { outcomes, pictureOrder } from '../../src/report/evaluation/outcome';
import { OptionError } from '../../src/runtime/errors';
import { type Example, exampleEvaluation } from '../helpers/evaluation';

const none: PictureSource = () => Promise.resolve(undefined);

async function written(
  record: EvaluationRecord,
  pictures: PictureSource = none,
  options: EvaluationPageOptions = {},
): Promise<string> {
  let html = '';
  for await (const piece of evaluationPage(record, pictures, options)) html += piece;
  return html;
}

/** What a reader sees, without the script, the styles and the JSON. */
const words = (html: string) =>
  html
    .replace(/<(script|style)[\s\S]*?<\/\1>/g, '')
    .replace(/<[^>]+>/g, ' ')
    .replace(/\s+/g, ' ');

const embedded = (html: string): EvaluationRecord =>
  JSON.parse(/<script type="application\/json" id="record">([^<]*)<\/script>/.exec(html)![1]!);

let example: Example;
beforeAll(async () => {
  example = await exampleEvaluation({ count: 40, size: 32 });
});

describe('what it says', () => {
  test('data set, protocol, method, epoch, counts, date, versions, adapter, commands', async () => {
    const text = words(await written(example.record));
    for (const fact of [
      'Brain',
      'few-shot: zero-shot results fused with distances to a memory bank',
      'mla-lp, preset authors',
      'last epoch',
      '40 images: 16 abnormal and 24 normal',
      '2026-11-25 20:15 UTC',
      'mla-lp 0.1.0',
      'NVIDIA H100 (Vulkan)',
      'brain-4shot.safetensors',
      'results/Brain, 4 shots',
      'cut-off.png The file ends in the middle',
    ]) {
      expect(text).toContain(fact);
    }
    expect(text).toMatch(/not a medical device/i);
    expect(text).not.toContain('optimistic');
  });

  test('an epoch chosen on the test set is told twice', async () => {
    const text = words(await written({ ...example.record, selection: 'best-on-test' }));
    expect(text).toContain(
      'best epoch on the test set: this looks at the test set, as the authors do; numbers are optimistic',
    );
    expect(text).toContain('Do not compare these numbers');
  });

  test('every metric with its interval, and outcomes that add up', async () => {
    const { image, pixel } = example.record;
    const text = words(await written(example.record));
    for (const { value, low, high } of [image.auroc, image.ap, image.f1max, pixel!.auroc, pixel!.aupro]) {
      expect(text).toContain(`${value.toFixed(3)} ${low.toFixed(3)} to ${high.toFixed(3)}`);
    }
    const counts = [...text.matchAll(/(\d+) (?:true|false) (?:positive|negative)(?=[ A-Z])/g)].map(([, n]) =>
      Number(n),
    );
    const [tp, fn, fp, tn] = counts as [number, number, number, number];
    expect(tp + fn + fp + tn).toBe(40);
    expect((2 * tp) / (2 * tp + fp + fn)).toBeCloseTo(image.f1max.value, 12);
  });

  test('undefined metrics are undefined, not zero', async () => {
    const { record } = await exampleEvaluation({ count: 6, size: 32, only: 'normal' });
    const html = await written(record);
    const text = words(html);
    expect(text).toContain('AUROC undefined none');
    expect(text).toContain('0 abnormal and 6 normal');
    expect(text).toContain('one of the classes is missing');
    expect(text).not.toMatch(/NaN|AUROC 0\.0|Infinity/);
    expect(html).not.toContain('NaN');
    expect(embedded(html).image.auroc.value).toBeNull();
  });

  test('a record out of results.json makes the same page', async () => {
    const { record } = await exampleEvaluation({ count: 10, size: 32 });
    const [point, ...points] = record.image.sensitivityAt;
    const nothing = { ...point!, sensitivity: 0, specificity: 1, threshold: Number.POSITIVE_INFINITY };
    const image = { ...record.image, sensitivityAt: [nothing, ...points] };
    const html = await written({ ...record, image });
    expect(words(html)).toContain('above all scores');
    expect(await written(parseRecord(recordText({ ...record, image }), 'results.json'))).toBe(html);
  });

  test('without masks nothing is said of pixels', async () => {
    const { record } = await exampleEvaluation({ count: 10, size: 32, masks: false });
    const html = await written(record);
    expect(words(html)).toContain('no ground-truth masks');
    expect(html).not.toContain('curve pixels');
    expect(html).not.toContain('AUPRO');
  });

  test('an invalid score is invalid, has no outcome and comes last', async () => {
    const [first, ...others] = example.record.images;
    const html = await written({ ...example.record, images: [{ ...first!, score: Number.NaN }, ...others] });
    const rows = html.match(/<tr id="row-[\s\S]*?<\/tr>/g)!;
    expect(rows.at(-1)).toContain('id="row-0"');
    expect(rows.at(-1)).toMatch(/data-side="".*&ndash;.*data-sort="">invalid</);
    expect(rows.length).toBe(40);
  });
});

test('for machines: the record, whatever a name holds, and its fingerprint', async () => {
  const name = '</script><script>alert(1)</script><!--';
  const { record } = await exampleEvaluation({ count: 10, size: 32, names: [name] });
  const html = await written(record);
  expect(html).not.toContain('<script>alert');
  expect(embedded(html)).toEqual(JSON.parse(JSON.stringify(record)));
  expect(embedded(html).images[0]!.name).toBe(name);
  expect(html).toContain(createHash('sha256').update(recordText(record)).digest('hex'));
});

describe('pictures', () => {
  test('the worst mistakes first, then other mistakes, then an even spread; each asked for once', () => {
    const { record } = example;
    const found = outcomes(record);
    const order = pictureOrder(record, found, 1);
    expect([...order].sort((a, b) => a - b)).toEqual(record.images.map((_, i) => i));
    const missed = found['false negative'];
    const alarms = found['false positive'];
    expect(missed.length + alarms.length).toBeGreaterThan(2);
    expect(order.slice(0, 2)).toEqual([missed[0], alarms[0]]);
    const score = (i: number) => record.images[i]!.score;
    for (let i = 1; i < missed.length; i++)
      expect(score(missed[i]!)).toBeGreaterThanOrEqual(score(missed[i - 1]!));
    for (let i = 1; i < alarms.length; i++)
      expect(score(alarms[i]!)).toBeLessThanOrEqual(score(alarms[i - 1]!));
    const rest = order.slice(missed.length + alarms.length);
    const ranked = [...rest].sort((a, b) => score(b) - score(a));
    // The first five of the rest: both ends, the middle, the quarters.
    const places = rest.slice(0, 5).map((i) => ranked.indexOf(i) / (ranked.length - 1));
    [0, 1, 0.5, 0.25, 0.75].forEach((share, i) => {
      expect(places[i]).toBeCloseTo(share, 1);
    });
  });

  test('no more than wanted, and the page says how many', async () => {
    const { record, pictures, asked } = await exampleEvaluation({ count: 20, size: 32 });
    const html = await written(record, pictures, { maxPictures: 7 });
    expect(asked.length).toBe(7);
    expect(new Set(asked).size).toBe(7);
    expect(html.match(/class="original"/g)!.length).toBe(7);
    expect(words(html)).toContain('Pictures of 7 of 20 images are in this file');
    expect(html.match(/<td class="pictured">yes/g)!.length).toBe(7);
  });

  test('no larger than wanted', async () => {
    const { record, pictures } = await exampleEvaluation({ count: 20, size: 32 });
    const bare = (await written(record)).length;
    const html = await written(record, pictures, { maxPictureBytes: 20_000 });
    expect(html.length - bare).toBeLessThan(21_000);
    expect(html).toContain('class="original"');
    expect(await written(record, pictures, { maxPictures: 0 })).toContain('No pictures are in this file');
    await expect(written(record, pictures, { maxPictures: Number.NaN })).rejects.toThrow(OptionError);
  });

  test('one at a time, and a piece of the page before the next is asked for', async () => {
    const { record, pictures } = await exampleEvaluation({ count: 12, size: 32 });
    let open = 0;
    let most = 0;
    let pieces = 0;
    const seen: number[] = [];
    const source: PictureSource = async (index) => {
      most = Math.max(most, ++open);
      seen.push(pieces);
      const picture = await pictures(index);
      open--;
      return picture;
    };
    for await (const piece of evaluationPage(record, source))
      pieces += piece.includes('class="original"') ? 1 : 0;
    expect(most).toBe(1);
    expect(seen).toEqual(Array.from({ length: 12 }, (_, i) => i));
  });

  test('what the source no longer has is said', async () => {
    const html = await written(example.record);
    expect(words(html)).toContain('No pictures are in this file.');
    expect(html).toContain('No picture of this image is in the file.');
  });
});
