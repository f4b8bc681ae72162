/** examples/web as a user meets it: its own server and policy, files chosen, trained, stopped, saved, detected with. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { memoryBytes } from '../../src/io/bytes';
import { openSafetensors } from '../../src/io/safetensors';
import { readTrainingState } from '../../src/io/training-state';
import { fixture } from '../helpers/goldens';
import { requestsElsewhere, servedPage } from '../helpers/served-page';

const SERVER = join(import.meta.dirname, '../../examples/web/serve.mjs');

const served = servedPage(SERVER);

/** A file of the tiny golden case, perhaps under a name of ours. */
function chosen(file: string, name = file) {
  return { name, mimeType: 'image/png', buffer: readFileSync(fixture(`tiny/${file}`)) };
}

test('trains, stops, saves and detects under its policy', { timeout: 240_000 }, async ({ skip }) => {
  const { opened, address } = served();
  if ('skip' in opened) return skip(opened.skip);
  const { page, errors } = opened;
  const elsewhere = requestsElsewhere(opened, address);
  await page.setViewportSize({ width: 360, height: 700 });
  const { headers } = (await page.goto(address).then(async (answer) => ({
    headers: await answer!.allHeaders(),
  })))!;
  expect(headers['content-security-policy']).toContain("default-src 'none'");
  const status = page.getByRole('status');
  const says = (text: RegExp) =>
    status.filter({ hasText: text }).waitFor({ state: 'visible', timeout: 200_000 });

  await page.getByLabel(/CLIP weights/).setInputFiles(fixture('tiny/clip.safetensors'));
  await page.getByLabel(/Side the model runs at/).fill('56');
  const normal = page.getByLabel('Normal images', { exact: true });
  await normal.setInputFiles([chosen('image0.png'), chosen('image2.png')]);
  const abnormal = page.getByLabel('Abnormal images', { exact: true });
  const wicked = '<img src=x onerror=alert(1)>.png';
  await abnormal.setInputFiles([chosen('image1.png'), chosen('image3.png', wicked)]);
  await page.getByLabel(/Masks/).setInputFiles([chosen('mask1.png', 'image9.png')]);
  await page.getByLabel(/eleven versions/).uncheck();
  await page.getByRole('button', { name: 'Train', exact: true }).click();
  await says(/image9\.png is the mask of no abnormal image/);

  await page.getByLabel(/Masks/).setInputFiles([chosen('mask1.png', 'image1_mask.png')]);
  await page.getByLabel('Epochs').fill('3');
  await page.getByRole('button', { name: 'Train', exact: true }).click();
  await says(/Trained: 3 of 3 steps/);
  expect(await page.locator('#step').textContent()).toMatch(/Step 3 of 3, epoch 3: loss [\d.]+/);
  expect(await page.getByRole('img', { name: /Loss over 3 steps/ }).count()).toBe(1);
  const drawn = await page.locator('#curve').evaluate((canvas: HTMLCanvasElement) => {
    const { data } = canvas.getContext('2d')!.getImageData(0, 0, canvas.width, canvas.height);
    return data.some((value) => value > 0);
  });
  expect(drawn).toBe(true);

  const saving = page.waitForEvent('download');
  await page.getByRole('link', { name: 'Save the model' }).click();
  const path = await (await saving).path();
  const bytes = new Uint8Array(readFileSync(path));
  const state = await readTrainingState(await openSafetensors(memoryBytes(bytes, 'the saved model')));
  expect(state.metadata.get('step')).toBe('3');
  expect(state.slots.size).toBe(0);
  expect(Buffer.from(bytes).toString('latin1')).not.toMatch(/image\d|onerror/);

  await page
    .getByLabel('Images', { exact: true })
    .setInputFiles([chosen('image0.png'), chosen('image3.png', wicked)]);
  await page.getByRole('button', { name: 'Detect', exact: true }).click();
  await says(/2 images in .* method mla-lp/);
  const captions = await page.locator('figcaption').allTextContents();
  expect(captions).toHaveLength(2);
  expect(captions[1]).toContain(wicked);
  expect(captions.every((text) => /score \d\.\d{3} of 4/.test(text))).toBe(true);

  await page.getByLabel('Epochs').fill('900');
  await page.getByRole('button', { name: 'Train', exact: true }).click();
  await page
    .locator('#step')
    .filter({ hasText: /of 900/ })
    .waitFor({ timeout: 100_000 });
  await page.getByRole('button', { name: 'Stop', exact: true }).click();
  await says(/Stopped after \d+ of 900 steps/);
  await expect.poll(() => page.evaluate(() => document.activeElement?.id)).toBe('train');
  const overflow = 'document.documentElement.scrollWidth - document.documentElement.clientWidth';
  expect(await page.evaluate(overflow)).toBeLessThanOrEqual(0);
  expect(elsewhere).toEqual([]);
  expect(errors).toEqual([]);
});
