import { expect, test } from 'vitest';
import { COLUMNS, columnsText, savedColumns } from '../../src/model/saved-columns';

const EMBED = 3;
const contexts = { normal: Float32Array.of(1, 2, 3), abnormal: Float32Array.of(-4, 0.1, 1e-30) };
const columns = Float32Array.of(1, 0, 0, 0, -0.6, 0.8);

function holding(text: string | undefined, vectors: Partial<typeof contexts> = contexts) {
  const named = new Map(
    Object.entries(vectors).map(([kind, values]) => [`prompt_learner.ctx.${kind}_end`, values]),
  );
  return {
    metadata: new Map(text === undefined ? [] : [[COLUMNS, text]]),
    tensors: new Map(
      [...named].map(([name, { length }]) => [name, { name, dtype: 'F32', shape: [length] } as const]),
    ),
    read: async (name: string) => named.get(name)!,
  };
}

test('what is kept is read again, bit by bit', async () => {
  expect(await savedColumns(holding(await columnsText(columns, contexts)), EMBED)).toEqual(columns);
});

test('nothing is read of other prompts, of a CLIP of another width, or of what is no columns', async () => {
  const text = await columnsText(columns, contexts);
  const { of, values } = JSON.parse(text);
  const moved = { ...contexts, abnormal: Float32Array.of(-4, 0.1, 2e-30) };
  const found = [
    savedColumns(holding(undefined), EMBED),
    savedColumns(holding(text, moved), EMBED),
    savedColumns(holding(text, { normal: contexts.normal }), EMBED),
    savedColumns(holding(text), 2),
    savedColumns(holding('{'), EMBED),
    savedColumns(holding('null'), EMBED),
    savedColumns(holding('{"of":1,"values":2}'), EMBED),
    savedColumns(holding(JSON.stringify({ of, values: values.replace('3f800000', '3f810000') })), EMBED), // too long
    savedColumns(holding(JSON.stringify({ of, values: values.replace('3f800000', '7fc00000') })), EMBED), // NaN
    savedColumns(holding(JSON.stringify({ of, values: values.replace('3f800000', 'zzzzzzzz') })), EMBED),
  ];
  expect(await Promise.all(found)).toEqual(found.map(() => undefined));
});
