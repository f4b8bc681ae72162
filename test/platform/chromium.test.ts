import { afterAll, beforeAll, expect, test } from 'vitest';
import { isSoftwareAdapter } from '../../src/runtime/adapter';
import { type BrowserPage, openBrowserPage } from '../helpers/browser';

let opened: BrowserPage | { skip: string };

beforeAll(async () => {
  opened = await openBrowserPage({ serve: { '/helpers/': 'test/helpers/' } });
});
afterAll(async () => {
  if ('close' in opened) await opened.close();
});

test('headless Chromium computes with WebGPU on SwiftShader', async ({ skip }) => {
  if ('skip' in opened) return skip(opened.skip);
  const result = await opened.call('/helpers/double-numbers.js', 'doubleNumbers');
  const { values, info } = result as { values: number[]; info: GPUAdapterInfo };
  expect(info).toMatchObject({ vendor: 'google', architecture: 'swiftshader' });
  expect(isSoftwareAdapter(info)).toBe(true);
  expect(values).toEqual(Array.from({ length: 1000 }, (_, i) => 2 * i));
  expect(opened.errors).toEqual([]);
});

test('the test server gives nothing outside of what it serves', async ({ skip }) => {
  if ('skip' in opened) return skip(opened.skip);
  for (const path of ['/helpers/..%2f..%2fpackage.json', '/package.json', '/dist/%2e%2e/package.json']) {
    expect((await fetch(opened.origin + path)).status, path).toBe(404);
  }
});
