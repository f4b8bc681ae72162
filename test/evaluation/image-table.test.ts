import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { csvRow, parseCsv } from '../../src/data/csv';
import {
  type ImageTableSource,
  imageColumns,
  imagesCsv,
  imagesJsonl,
} from '../../src/evaluation/image-table';
import type { EvaluatedImage } from '../../src/evaluation/record';

const image = (changes: Partial<EvaluatedImage> = {}): EvaluatedImage => ({
  name: 'test/good/img/1.png',
  abnormal: false,
  hasMask: true,
  score: 0.5,
  parts: { zeroShot: 1, fewShot: 0.25, mapMax: 2.5 },
  ...changes,
});
const record = (...images: EvaluatedImage[]): ImageTableSource => ({
  dataset: 'Brain',
  protocol: 'few-shot',
  method: 'mla-lp',
  images,
});
const whole = (chunks: Iterable<string>) => [...chunks].join('');

test('both files, to the letter', () => {
  const one = record(
    image(),
    image({
      name: 'a "b", c.png',
      abnormal: true,
      hasMask: false,
      score: Number.NaN,
      parts: { zeroShot: -0, mapMax: 1e-7 },
    }),
  );
  expect(whole(imagesJsonl(one))).toBe(
    '{"dataset":"Brain","protocol":"few-shot","method":"mla-lp","name":"test/good/img/1.png","label":0,"has_mask":true,' +
      '"score":0.5,"zero_shot":1.0,"few_shot":0.25,"map_max":2.5}\n' +
      '{"dataset":"Brain","protocol":"few-shot","method":"mla-lp","name":"a \\"b\\", c.png","label":1,"has_mask":false,' +
      '"score":null,"zero_shot":-0.0,"few_shot":null,"map_max":1e-7}\n',
  );
  expect(whole(imagesCsv(one))).toBe(
    'dataset,protocol,method,name,label,has_mask,score,zero_shot,few_shot,map_max\r\n' +
      'Brain,few-shot,mla-lp,test/good/img/1.png,0,true,0.5,1,0.25,2.5\r\n' +
      'Brain,few-shot,mla-lp,"a ""b"", c.png",1,false,,0,,1e-7\r\n',
  );
});

test('no image: no line, and a header; many images come in parts', () => {
  expect(whole(imagesJsonl(record()))).toBe('');
  expect(parseCsv(whole(imagesCsv(record())), 'x')).toHaveLength(1);
  const many = record(...Array.from({ length: 2500 }, (_, i) => image({ name: `${i}.png` })));
  expect([...imagesJsonl(many)]).toHaveLength(3);
  expect(parseCsv(whole(imagesCsv(many)), 'x')).toHaveLength(2501);
});

describe('whatever names and numbers come', () => {
  const names = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.string({ unit: fc.constantFrom(...'=+-@\'",\r\n\t ;|\u2028\u0085＝a', '\ud800') }),
  );
  const numbers = fc.oneof(fc.double(), fc.integer(), fc.constantFrom(Number.NaN, Infinity, -0, 1e21, 1e300));
  const images = fc.array(
    fc
      .record({
        name: names,
        abnormal: fc.boolean(),
        hasMask: fc.boolean(),
        score: numbers,
        parts: fc.record(
          { zeroShot: numbers, fewShot: numbers, mapMax: numbers },
          { requiredKeys: ['zeroShot', 'mapMax'] },
        ),
      })
      .map((made) => made as EvaluatedImage),
    { maxLength: 8 },
  );
  const known = (value: number | undefined) => (Number.isFinite(value) ? value! : null);

  test('JSON Lines: one line an image, all columns, types that never change, every number back', () => {
    fc.assert(
      fc.property(images, (list) => {
        const text = whole(imagesJsonl(record(...list)));
        // What any reader might split at.
        const lines = text.split(/\r\n|[\n\v\f\r\u0085\u2028\u2029]/);
        expect(lines.pop()).toBe('');
        expect(lines).toHaveLength(list.length);
        for (const [i, line] of lines.entries()) {
          const row = JSON.parse(line) as Record<string, unknown>;
          expect(Object.keys(row)).toEqual(imageColumns);
          const { name, abnormal, hasMask, score, parts } = list[i]!;
          expect(row.name).toBe(name.replace(/\p{Surrogate}/gu, '\ufffd'));
          expect([row.label, row.has_mask]).toEqual([abnormal ? 1 : 0, hasMask]);
          expect([row.score, row.zero_shot, row.few_shot, row.map_max]).toEqual([
            known(score),
            known(parts.zeroShot),
            known(parts.fewShot),
            known(parts.mapMax),
          ]);
          for (const [, value] of line.matchAll(/"(?:score|zero_shot|few_shot|map_max)":([^,}]*)/g))
            expect(value === 'null' || /[.e]/.test(value!)).toBe(true);
          expect(/"label":[01],"has_mask":(true|false),/.test(line)).toBe(true);
        }
      }),
      { numRuns: 200 },
    );
  });

  test('CSV: our strict reader gets the same back; no text begins like a formula', () => {
    fc.assert(
      fc.property(images, (list) => {
        const rows = parseCsv(whole(imagesCsv(record(...list))), 'x').map(({ fields }) => fields);
        expect(rows.shift()).toEqual(imageColumns);
        expect(rows).toHaveLength(list.length);
        for (const [i, fields] of rows.entries()) {
          const { name, score, parts } = list[i]!;
          expect(fields).toHaveLength(imageColumns.length);
          expect([name, `'${name}`]).toContain(fields[3]);
          expect(fields[3]).not.toMatch(/^[=+\-@\t\r\n＝＋－＠]/);
          for (const [column, value] of [
            [6, score],
            [7, parts.zeroShot],
            [8, parts.fewShot],
          ] as const)
            expect(fields[column] === '' ? null : Number(fields[column])).toBe(
              known(value) === 0 ? 0 : known(value),
            );
        }
      }),
      { numRuns: 200 },
    );
  });

  test('formulas get an apostrophe, numbers do not', () => {
    expect(csvRow(['=HYPERLINK("x")', '+1', '-1', '@a', '\tx', 'a=b', '', -1, true, null])).toBe(
      `"'=HYPERLINK(""x"")",'+1,'-1,'@a,'\tx,a=b,"",-1,true,\r\n`,
    );
  });
});
