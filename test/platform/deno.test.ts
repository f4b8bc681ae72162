import { join } from 'node:path';
import { expect, test } from 'vitest';
import { isSoftwareAdapter } from '../../src/runtime/adapter';
import { denoObstacle, runDeno } from '../helpers/deno';

const obstacle = denoObstacle();

test.skipIf(obstacle)('Deno computes with WebGPU', async () => {
  const { stdout } = await runDeno(join(import.meta.dirname, '../helpers/double-numbers.js'));
  const { values, info } = JSON.parse(stdout);
  if (!process.env.MLA_LP_ADAPTER || process.env.MLA_LP_ADAPTER === 'swiftshader') {
    expect(info.description).toMatch(process.platform === 'linux' ? /SwiftShader/ : /./);
    if (process.platform === 'linux') expect(isSoftwareAdapter(info)).toBe(true);
  }
  expect(values).toEqual(Array.from({ length: 1000 }, (_, i) => 2 * i));
});

test.skipIf(obstacle)('a failing Deno script rejects with its output', async () => {
  await expect(runDeno('data:text/javascript,throw new Error("on purpose")')).rejects.toThrow('on purpose');
});
