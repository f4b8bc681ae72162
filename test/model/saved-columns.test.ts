import { expect, test } from 'vitest';
import { COLUMNS, columnsText, savedColumns } from '../../src/model/saved-columns';

const CONFIG = { embed: 3, textHeads: 2 };
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
  expect(await savedColumns(holding(await columnsText(columns, contexts, CONFIG.textHeads)), CONFIG)).toEqual(
    columns,
  );
});

test('nothing is read of other prompts, of a CLIP of another width or with other heads, or of what is no columns', async () => {
  const text = await columnsText(columns, contexts, CONFIG.textHeads);
  const { of, values } = JSON.parse(text);
  const moved = { ...contexts, abnormal: Float32Array.of(-4, 0.1, 2e-30) };
  const found = [
    savedColumns(holding(undefined), CONFIG),
    savedColumns(holding(text, moved), CONFIG),
    savedColumns(holding(text, { normal: contexts.normal }), CONFIG),
    savedColumns(holding(text), { ...CONFIG, embed: 2 }),
    savedColumns(holding(text), { ...CONFIG, textHeads: 4 }),
    savedColumns(holding('{'), CONFIG),
    savedColumns(holding('null'), CONFIG),
    savedColumns(holding('{"of":1,"values":2}'), CONFIG),
    savedColumns(holding(JSON.stringify({ of, values: values.replace('3f800000', '3f810000') })), CONFIG), // too long
    savedColumns(holding(JSON.stringify({ of, values: values.replace('3f800000', '7fc00000') })), CONFIG), // NaN
    savedColumns(holding(JSON.stringify({ of, values: values.replace('3f800000', 'zzzzzzzz') })), CONFIG),
  ];
  expect(await Promise.all(found)).toEqual(found.map(() => undefined));
});
