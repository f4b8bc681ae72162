/** What results call images, and which protocols a model can do. No device. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { evaluationImages, pathsByName } from '../../src/cli/evaluation-run';
import { makeDataset } from '../../src/data/datasets';
import { type DetectionModel, rawHeader } from '../../src/library/node';

const root = join('data', 'Tiny_AD');
const dataset = makeDataset('Tiny', root, [
  { path: join(root, 'a', '1.png'), abnormal: false },
  { path: join(root, 'b', '1.png'), abnormal: true },
]);

test.each([
  ['a folder', root],
  ['a CSV in it', join(root, 'list.csv')],
])('names are relative to %s', (_what, path) => {
  expect(evaluationImages(dataset, path).map(({ name }) => name)).toEqual(['a/1.png', 'b/1.png']);
  expect(pathsByName(dataset, path)('b/1.png')).toBe(join(root, 'b', '1.png'));
});

test('few-shot needs a memory bank, or a method with references of its own', async () => {
  const header = (method: string, hasMemory: boolean) => {
    const model = { method, hasMemory, preset: 'authors', imageSize: 28 } as DetectionModel;
    return rawHeader(model, [], { dataset: 'Tiny', protocol: 'few-shot' });
  };
  await expect(header('mvfa', false)).rejects.toThrow('memory bank');
  await expect(header('mla-lp', false)).rejects.toThrow('needs a model with a memory bank');
  expect(await header('mla-lp', true)).toMatchObject({ fused: true });
  expect(await header('winclip', false)).toMatchObject({ fused: false });
});
