/** The evaluation report in a real browser, opened as the file that it is. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { evaluationPage } from '../../src/report';
import { type BrowserPage, openBrowserPage } from '../helpers/browser';
import { type Example, exampleEvaluation, RANGE } from '../helpers/evaluation';

const EVIL = `<img src="https://evil.example/x.png" onerror="document.title='owned'">\u202egnp.png`;
const LONG = `test/${'a-very-long-folder-name/'.repeat(6)}${'x'.repeat(120)}.png`;

let folder: string;
let file: string;
let browser: BrowserPage | { skip: string };
let page: Page;
let example: Example;
const requests: string[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mla-lp-report-'));
  file = join(folder, 'report.html');
  example = await exampleEvaluation({ count: 40, size: 48, names: [EVIL, LONG] });
  const { record, pictures } = example;
  const chunks: string[] = [];
  const hostile = {
    ...record,
    dataset: `Brain ${EVIL}`,
    failures: [{ name: EVIL, message: EVIL }],
    configuration: { ...record.configuration, [EVIL]: EVIL },
    commands: [...record.commands, EVIL],
  };
  for await (const piece of evaluationPage(hostile, pictures, { range: RANGE, maxPictures: 25 }))
    chunks.push(piece);
  await writeFile(file, chunks.join(''));
  browser = await openBrowserPage();
  if ('skip' in browser) return;
  page = browser.page;
  page.setDefaultTimeout(10_000);
  page.on('request', (request) => requests.push(request.url()));
  await page.setViewportSize({ width: 1280, height: 900 });
  await page.goto(pathToFileURL(file).href);
});

afterAll(async () => {
  if (browser && !('skip' in browser)) await browser.close();
  await rm(folder, { recursive: true, force: true });
});

/** A test that needs the browser; afterwards the page has raised no error, which violations of its policy would be. */
const inBrowser = (name: string, check: () => Promise<void>) =>
  test(name, async (context) => {
    if ('skip' in browser) return context.skip(browser.skip);
    await page.evaluate('viewer.close()');
    await check();
    expect(browser.errors).toEqual([]);
  });

const shownRows = () => page.locator('#table tbody tr:visible');
const column = async (n: number) =>
  (await shownRows().locator(`> :nth-child(${n})`).allTextContents()).map((text) => text.trim());
const heading = (name: string) => page.getByRole('button', { name, exact: true });
const descending = (values: number[]) => values.every((value, i) => i === 0 || value <= values[i - 1]!);

inBrowser('sorted by score, then by any column, either way', async () => {
  const scores = async () => (await column(4)).map(Number);
  expect((await scores()).length).toBe(40);
  expect(descending(await scores())).toBe(true);
  await heading('Score').click();
  expect(descending((await scores()).reverse())).toBe(true);
  expect(await page.locator('th[aria-sort]').allTextContents()).toEqual(['Score']);
  await heading('Zero-shot').click();
  expect(descending((await column(5)).map(Number))).toBe(true);
  await heading('Truth').click();
  expect(await column(2)).toEqual([...Array(16).fill('abnormal'), ...Array(24).fill('normal')]);
  await heading('Image').focus();
  await page.keyboard.press('Enter');
  const names = await page
    .locator('#table tbody th')
    .evaluateAll((cells) => cells.map((cell) => cell.dataset.sort!));
  const { compare } = new Intl.Collator('en', { numeric: true });
  expect(names).toEqual([...names].sort(compare));
  await heading('Score').click();
});

inBrowser('filtered by class, by right and wrong, by name, and all together', async () => {
  const shown = page.locator('#shown');
  await page.getByRole('radio', { name: 'normal', exact: true }).check({ force: true });
  expect(new Set(await column(2))).toEqual(new Set(['normal']));
  expect(await shown.textContent()).toBe('24 of 40 images');
  await page.getByRole('radio', { name: 'wrong' }).check({ force: true });
  const outcomes = await column(3);
  expect(outcomes.length).toBeGreaterThan(0);
  expect(new Set(outcomes)).toEqual(new Set(['false positive']));
  await page.locator('input[name=truth][value=""]').check({ force: true });
  expect(new Set(await column(3))).toEqual(new Set(['false positive', 'false negative']));
  await page.locator('input[name=side][value=""]').check({ force: true });
  await page.getByLabel('Name').fill('MRI-003');
  expect((await column(1)).length).toBe(10);
  await page.getByLabel('Name').fill('no such name');
  expect(await shownRows().count()).toBe(0);
  expect(await shown.textContent()).toBe('0 of 40 images');
  await page.getByLabel('Name').fill('');
  expect(await shown.textContent()).toBe('40 images');
});

inBrowser('from the keyboard: to a row, into its image, on to the next, and back', async () => {
  const first = shownRows().first().locator('a');
  await first.focus();
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
  const dialog = page.getByRole('dialog');
  await dialog.waitFor();
  expect(await page.locator('#position').textContent()).toBe('2 of 40');
  await page.keyboard.press('ArrowRight');
  await expect.poll(() => page.locator('#position').textContent()).toBe('3 of 40');
  const third = await shownRows().nth(2).locator('th').getAttribute('data-sort');
  expect(await page.locator('#viewer-name').textContent()).toBe(third!);
  await page.keyboard.press('Escape');
  await dialog.waitFor({ state: 'hidden' });
  expect(await page.evaluate('document.activeElement.closest("tr").rowIndex')).toBe(3);
  expect(new URL(page.url()).hash).toBe('');
});

inBrowser('an image: three panes, opacity, contours', async () => {
  // The first missed image has a mask and a picture.
  const card = page.locator('.card .panes').first();
  await card.scrollIntoViewIfNeeded();
  const scrolled = await page.evaluate('scrollY');
  await card.click();
  await page.getByRole('dialog').waitFor();
  const panes = page.locator('#panes .pane');
  expect(await panes.count()).toBe(3);
  const opacity = (kind: string) =>
    page.locator(`#panes .${kind} img.heatmap`).evaluate((img) => getComputedStyle(img).opacity);
  await page.locator('#opacity').fill('20');
  expect(await opacity('overlay')).toBe('0.2');
  expect(await opacity('pane.heatmap')).toBe('1');
  expect(await page.locator('#panes .pane.original img.heatmap').isVisible()).toBe(false);
  const truth = page.locator('#panes .pane.overlay path.truth');
  expect(await truth.isVisible()).toBe(true);
  await page.getByLabel('Ground truth').uncheck();
  expect(await truth.isVisible()).toBe(false);
  await page.getByLabel('Ground truth').check();
  // Layers cover each other exactly, and the pictures were decoded.
  const boxes = await page
    .locator('#panes .overlay :is(img, svg)')
    .evaluateAll((layers) => layers.map((layer) => JSON.stringify(layer.getBoundingClientRect())));
  expect(boxes.length).toBe(3);
  expect(new Set(boxes).size).toBe(1);
  expect(
    await page
      .locator('#panes img')
      .evaluateAll((all) => all.every((img) => (img as HTMLImageElement).naturalWidth === 48)),
  ).toBe(true);
  await page.getByRole('button', { name: 'Close' }).click();
  expect(scrolled).toBeGreaterThan(0);
  expect(await page.evaluate('scrollY')).toBe(scrolled);
});

inBrowser('an image without picture says so; a link to an image opens it', async () => {
  const bare = page.locator('#table tr:has(td.pictured:text("no"))').first();
  const link = await bare.locator('a').getAttribute('href');
  await page.goto(`${pathToFileURL(file).href}${link}`);
  await page.getByRole('dialog').waitFor();
  expect(await page.locator('#no-picture').isVisible()).toBe(true);
  expect(await page.locator('#viewer-picture').isVisible()).toBe(false);
  await page.goBack();
  await page.goto(pathToFileURL(file).href);
});

inBrowser('hostile names are text', async () => {
  const name = EVIL.replace('\u202e', '\ufffd');
  expect(await page.title()).toContain('<img src=');
  expect(await page.locator('h1').textContent()).toBe(`Brain ${name}`);
  expect(await page.locator('#row-0 th').getAttribute('data-sort')).toBe(name);
  expect(await page.locator('.failures').textContent()).toBe(`${name} ${name}`);
  expect(await page.locator('img[onerror], img[src*="evil"]').count()).toBe(0);
  await page.evaluate("location.hash = 'image-0'");
  await page.getByRole('dialog').waitFor();
  expect(await page.locator('#viewer-name').textContent()).toBe(name);
  await page.keyboard.press('Escape');
  // For machines the names are what they were.
  const record = await page.evaluate("JSON.parse(document.getElementById('record').textContent)");
  expect((record as typeof example.record).images[0]!.name).toBe(EVIL);
});

inBrowser('no box is wider than a phone, a tablet or a desktop; dark follows the system', async () => {
  const ground = () => page.evaluate('getComputedStyle(document.body).backgroundColor');
  await page.emulateMedia({ colorScheme: 'light' });
  const light = await ground();
  await page.emulateMedia({ colorScheme: 'dark' });
  expect(await ground()).not.toBe(light);
  for (const width of [320, 390, 768, 1280]) {
    await page.setViewportSize({ width, height: 844 });
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(width);
    const cut = await page
      .locator('.scroll, .panel, .card, .choice div, #table :is(th, td)')
      .evaluateAll((boxes) =>
        boxes
          .filter((box) => box.scrollWidth > box.clientWidth)
          .map((box) => `${box.className}: ${box.textContent}`),
      );
    expect(cut).toEqual([]);
  }
  await page.setViewportSize({ width: 390, height: 844 });
  await page.locator('.card .panes').first().click();
  const dialog = page.getByRole('dialog');
  await dialog.waitFor();
  expect(await dialog.evaluate((box) => box.scrollWidth - box.clientWidth)).toBe(0);
  expect(await dialog.boundingBox()).toEqual({ x: 0, y: 0, width: 390, height: 844 });
  // A line a name and a line a value.
  expect((await page.locator('#viewer-facts').boundingBox())!.height).toBeLessThan(120);
  await page.getByRole('button', { name: 'Close' }).click();
  await page.setViewportSize({ width: 1280, height: 900 });
});

inBrowser('on paper: light, without controls, as wide as a page', async () => {
  await page.emulateMedia({ media: 'print', colorScheme: 'dark' });
  await page.setViewportSize({ width: 718, height: 1000 });
  expect(await page.evaluate('getComputedStyle(document.body).backgroundColor')).toBe('rgb(255, 255, 255)');
  expect(await page.evaluate('getComputedStyle(document.body).color')).toBe('rgb(29, 31, 35)');
  expect(await page.locator('#filters').isVisible()).toBe(false);
  expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(718);
  const box = page.locator('.scroll');
  expect(await box.evaluate((element) => element.scrollHeight - element.clientHeight)).toBe(0);
  await page.emulateMedia({ media: 'screen', colorScheme: 'light' });
});

inBrowser('the page asked nobody for anything but itself and may ask nobody', async () => {
  expect(requests.filter((url) => !url.startsWith('data:') && !url.startsWith('file:'))).toEqual([]);
  expect(requests.length).toBeGreaterThan(0);
  expect(await readFile(file, 'utf8')).not.toMatch(/ style=| on[a-z]+="[^"]*"[^&]*>|innerHTML/);
  const refused = await page.evaluate(`new Promise((done) => {
    document.addEventListener('securitypolicyviolation', (event) => done(event.effectiveDirective), { once: true });
    const img = new Image();
    img.src = 'https://evil.example/y.png';
  })`);
  expect(refused).toBe('img-src');
  expect(
    await page.evaluate("try { document.createElement('p').innerHTML = 'x'; } catch (error) { error.name }"),
  ).toBe('TypeError');
  if (!('skip' in browser)) browser.errors.length = 0;
});

inBrowser('a command is copied as it was', async () => {
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
  const button = page.locator('.commands .copy').nth(1);
  await button.click();
  await expect.poll(() => button.textContent()).toMatch(/Copied|Selected/);
  const copied = await page.evaluate(
    "navigator.clipboard.readText().catch(() => '').then((text) => text || String(getSelection()))",
  );
  expect(copied).toBe(example.record.commands[1]);
});
