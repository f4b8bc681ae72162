import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { fixedPrompts, learnablePromptTokens, objectNames, parsePrompts } from '../../src/model/prompts';
import { END_OF_TEXT, START_OF_TEXT, tokenize } from '../../src/model/tokenizer';
import { OptionError } from '../../src/runtime/errors';

const fixture = <T>(name: string): T =>
  JSON.parse(readFileSync(new URL(`../fixtures/${name}`, import.meta.url), 'utf8')) as T;
const cases = fixture<{ text: string; ids: number[] }[]>('tokenizer.json');
const prompts = fixture<{ normal: number[][]; abnormal: number[][] }>('prompt-tokens.json');

describe('CLIP’s tokens', () => {
  // The goldens stop at the first end-of-text token, also where the text itself holds one.
  test.each(cases.map(({ text, ids }) => [text.slice(0, 60), text, ids] as const))(
    '%j',
    async (_, text, ids) => {
      const row = [...(await tokenize([text], { truncate: true }))];
      expect(row.length).toBe(77);
      expect(row.slice(0, row.indexOf(END_OF_TEXT) + 1)).toEqual(ids);
    },
  );

  test('one row a text, padded with zeros', async () => {
    const rows = await tokenize(['a dog', 'x'], { context: 6 });
    expect([...rows]).toEqual([
      START_OF_TEXT,
      320,
      1929,
      END_OF_TEXT,
      0,
      0,
      START_OF_TEXT,
      343,
      END_OF_TEXT,
      0,
      0,
      0,
    ]);
    expect(await tokenize([])).toEqual(new Int32Array(0));
  });

  test('a text that does not fit is an error unless it may be cut', async () => {
    const long = 'word '.repeat(80);
    await expect(tokenize([long])).rejects.toThrow(OptionError);
    const cut = await tokenize([long], { truncate: true });
    expect([cut[0], cut[75], cut[76]]).toEqual([START_OF_TEXT, 2653, END_OF_TEXT]);
    await expect(tokenize(['word '.repeat(75)])).resolves.toHaveLength(77);
    await expect(tokenize(['a'], { context: 1 })).rejects.toThrow(OptionError);
  });
});

describe('prompts', () => {
  test('the learnable phrases have the reference’s tokens', async () => {
    const { normal, abnormal } = await learnablePromptTokens();
    expect([...normal]).toEqual(prompts.normal.flat());
    expect([...abnormal]).toEqual(prompts.abnormal.flat());
  });

  test('the number of placeholders follows the checkpoint', async () => {
    const { normal } = await learnablePromptTokens(2);
    expect([...normal.subarray(0, 6)]).toEqual([START_OF_TEXT, 343, 343, 5967, 269, END_OF_TEXT]);
  });

  test('MVFA’s ensemble has 245 and 175 different sentences, all within the context', async () => {
    for (const object of Object.values(objectNames)) {
      const { normal, abnormal } = fixedPrompts(object);
      expect(new Set(normal).size).toBe(245);
      expect(new Set(abnormal).size).toBe(175);
      expect([...normal, ...abnormal].every((s) => s.includes(object) && !s.includes('{}'))).toBe(true);
      expect(await tokenize([...normal, ...abnormal])).toHaveLength(420 * 77);
    }
    expect(fixedPrompts('Brain').abnormal).toContain('a jpeg corrupted photo of the Brain with defect.');
    expect(fixedPrompts("$& $' $$").normal).toContain("a bad photo of a $& $' $$.");
  });

  test.each([
    ['lists', '{"normal": [" fine "], "abnormal": ["ill"]}'],
    [
      'captions',
      '\ufeff[{"text": "fine", "abnormal": false, "ids": [1]}, {"text": "ill", "abnormal": true}]',
    ],
    ['sections', '# mine\n[normal]\nfine\n\n[Abnormal]\r\nill\n'],
  ])('a prompt file as %s', (_, text) => {
    expect(parsePrompts(text, 'p')).toEqual({ normal: ['fine'], abnormal: ['ill'] });
  });

  test.each([
    ['{"normal": ["a"]}', /"abnormal" is not a list/],
    ['{"normal": ["a"], "abnormal": []}', /no abnormal prompt/],
    ['{"normal": ["a"], "abnormal": [3]}', /"abnormal" is not a list/],
    ['{"normal": ["a"', /not valid JSON/],
    ['[{"text": "a"}]', /entry 0/],
    ['[null]', /entry 0/],
    ['fine', /line 1 stands before/],
    ['[normal]\nfine', /no abnormal prompt/],
    ['', /no normal prompt/],
  ])('a bad prompt file %j is a typed error', (text, message) => {
    expect(() => parsePrompts(text, 'my.json')).toThrow(OptionError);
    expect(() => parsePrompts(text, 'my.json')).toThrow(message);
    expect(() => parsePrompts(text, 'my.json')).toThrow(/my\.json/);
  });
});
