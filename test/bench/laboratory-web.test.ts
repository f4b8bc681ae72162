/** The laboratory's page as a user meets it: its own server and policy, a wrong kernel of one's own, then a right one. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import plain from '../../src/kernels/softmax/softmax_plain.wgsl';
import { requestsElsewhere, servedPage } from '../helpers/served-page';

const SERVER = join(import.meta.dirname, '../../bench/laboratory/web/serve.mjs');
const RIGHT = `// grid: ceil(ROWS / 16)\n${plain}`;

const served = servedPage(SERVER);

test('own kernels are checked and timed in a browser', { timeout: 240_000 }, async ({ skip }) => {
  const { opened, address } = served();
  if ('skip' in opened) return skip(opened.skip);
  const { page, errors } = opened;
  page.setDefaultTimeout(60_000);
  const elsewhere = requestsElsewhere(opened, address);
  await page.setViewportSize({ width: 360, height: 700 });
  await page.goto(address);
  const status = page.getByRole('status');
  const results = page.locator('#results');
  const run = async (wgsl: string) => {
    await page.getByLabel(/Your own kernel/).fill(wgsl);
    await page.getByRole('button', { name: 'Run' }).click();
    await status.filter({ hasText: /softmax .* on |Nothing was measured/ }).waitFor();
  };

  await page.getByRole('combobox', { name: 'Operation' }).selectOption('softmax');
  await page.getByRole('textbox', { name: 'Shape' }).fill('3x5x7x');
  for (const name of ['workgroup', 'subgroup'])
    await page.getByRole('checkbox', { name, exact: true }).uncheck();
  await page.getByLabel(/Seconds for each/).fill('0.01');
  await run('');
  const alert = page.getByRole('alert');
  expect(await alert.textContent()).toMatch(/"3x5x7x" is no shape of softmax/);

  await page.getByRole('textbox', { name: 'Shape' }).fill('3x5x7');
  await run(RIGHT.replace('var sum = 0.0f', 'var sum = q'));
  expect(await alert.textContent()).toMatch(/yours\.wgsl does not compile:\s+yours\.wgsl:\d+:\d+ .*'q'/);

  await run(RIGHT.replace('c = 1u', 'c = 2u'));
  expect(await alert.count()).toBe(0);
  expect(await results.textContent()).toMatch(/yours\.wgsl on the op's table: \d right, [1-6] wrong/);
  expect(await results.locator('li.failed').first().textContent()).toMatch(/WRONG f32 .*element \d+\): got /);
  const variants = results.getByRole('region', { name: 'Variants' }).locator('tbody tr');
  expect(await variants.count()).toBe(1);

  await run(RIGHT);
  expect(await results.textContent()).toMatch(/[4-9] right, 0 wrong/);
  expect(await variants.locator('th + td').allTextContents()).toEqual([
    expect.stringMatching(/^plain/),
    'yours (yours)',
  ]);
  expect(await results.locator('svg.roofline .point').count()).toBe(2);
  const saving = page.waitForEvent('download');
  await page.getByRole('link', { name: 'Save as JSON' }).click();
  const record = JSON.parse(await readFile(await (await saving).path(), 'utf8'));
  expect(record).toMatchObject({
    op: 'softmax',
    case: 'f32 [3,5,7]',
    device: { source: 'navigator', software: true },
    clock: 'wall',
    own: { file: 'yours.wgsl', wrong: [] },
    failed: [],
  });
  expect(record.rows.map((row: { variant: string }) => row.variant)).toEqual(['plain', 'yours']);
  expect(record.rows.every((row: { gflops: number }) => row.gflops > 0)).toBe(true);
  const overflow = 'document.documentElement.scrollWidth - document.documentElement.clientWidth';
  expect(await page.evaluate(overflow)).toBeLessThanOrEqual(0);
  expect(elsewhere).toEqual([]);
  expect(errors).toEqual([]);
});
