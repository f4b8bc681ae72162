import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { encodeJpeg, encodePng } from '../../src/platform/node/encode-png';
import { type Report, type ReportItem, reportPage } from '../../src/report';

const tiny = { width: 2, height: 2, data: new Uint8Array(12).fill(9) };
const base: Omit<Report, 'items'> = {
  title: 'A run',
  adapter: 'Test adapter',
  weights: 'w.safetensors',
  method: 'mla-lp',
  version: '9.8.7',
  date: new Date('2026-01-02T03:04:05Z'),
};
const page = (items: readonly ReportItem[], more: Partial<Report> = {}) =>
  reportPage({ ...base, ...more, items });

async function pictured(file: string, score = 1.5): Promise<ReportItem> {
  const [originalPng, overlayPng] = [await encodeJpeg(tiny), await encodePng(tiny)];
  return {
    file,
    score,
    levels: [0.1, 0.2, 0.3, 0.9],
    originalPng,
    overlayPng,
    width: 2,
    height: 2,
    range: [0, 0.5],
  };
}

test('what ran stands in the header', async () => {
  const html = await page([await pictured('a.png')], { details: { Precision: 'f16' } });
  for (const fact of [
    'A run',
    'Test adapter',
    'w.safetensors',
    'mla-lp 9.8.7',
    '2026-01-02 03:04 UTC',
    'f16',
  ]) {
    expect(html).toContain(fact);
  }
  expect(html).toMatch(/not a medical device/i);
});

test('every name is text, wherever it comes from', async () => {
  const evil = `<img src=x onerror=alert(1)>"'&\u202egnp.exe`;
  const html = await page([await pictured(evil), { file: evil, error: evil }], {
    title: evil,
    adapter: evil,
    weights: evil,
    method: evil,
    version: evil,
    details: { [evil]: evil },
  });
  expect(html).not.toContain('<img src=x');
  expect(html).not.toContain('\u202e');
  // Only tags that the page writes itself, and no attribute that a quote could have opened.
  expect([...new Set(html.match(/<img [a-z]+/g))]).toEqual(['<img alt']);
  expect(html).not.toMatch(/[^;]onerror=alert\(1\)>/);
  expect(html).toContain('&lt;img src=x onerror=alert(1)&gt;&quot;&#39;&amp;');
});

test('the page asks nobody for anything, and its policy forbids it to', async () => {
  const html = await page([await pictured('a.png')]);
  const policy = /http-equiv="Content-Security-Policy" content="([^"]+)"/.exec(html)![1]!;
  expect(policy).toContain("default-src 'none'");
  expect(policy).not.toMatch(/unsafe|https?:|\*/);
  for (const tag of ['script', 'style'] as const) {
    const inline = [...html.matchAll(new RegExp(`<${tag}>([^]*?)</${tag}>`, 'g'))];
    expect(inline.length).toBe(1);
    const hash = createHash('sha256').update(inline[0]![1]!).digest('base64');
    expect(policy).toContain(`${tag}-src 'sha256-${hash}'`);
  }
  expect(html).not.toMatch(/https?:\/\//);
  expect(html).not.toMatch(/ style=| on[a-z]+="|eval\(/);
  expect(html.match(/src="[^"]{11}/g)!.every((src) => src.startsWith('src="data:image'))).toBe(true);
  expect(html).toContain('src="data:image/jpeg;base64,/9j/');
  expect(html).toContain('src="data:image/png;base64,iVBOR');
});

describe('rows', () => {
  test('scores and levels are sortable numbers', async () => {
    const html = await page([await pictured('a.png', 2), { file: 'b.png', score: 0.25, levels: [0.25] }]);
    expect(html).toContain('data-sort="2">2.0000');
    expect(html.match(/<th scope="col"/g)!.length).toBe(2 + 4 + 1);
    expect(html).toContain('href="#image-0"');
    expect(html).not.toContain('href="#image-1"');
  });

  test('what has no score is failed or invalid, never ok', async () => {
    const html = await page([
      { file: 'broken.png', error: 'it is cut off' },
      { file: 'nan.png', score: Number.NaN },
      { file: 'none.png' },
    ]);
    expect(html).toContain('3 images, 1 failed');
    expect(html.match(/<td class="invalid">/g)!.length).toBe(2);
    expect(html).not.toContain('<td class="ok">');
    expect(html).not.toContain('NaN');
    expect(html).toMatch(/Failed<\/h2>.*broken\.png.*it is cut off/);
  });

  test('no images at all is still a page', async () => {
    expect(await page([])).toContain('0 images');
  });

  test('the plot has a dot for every valid score', async () => {
    const items = Array.from({ length: 500 }, (_, i) => ({ file: `${i}`, score: i % 7 }));
    const html = await page([...items, { file: 'x', score: Number.NaN }]);
    expect(html.match(/<circle /g)!.length).toBe(500);
    expect(await page([{ file: 'a', score: 1 }])).not.toContain('<circle');
  });
});

test('a run of very many images', async () => {
  const item: ReportItem = { file: 'a', levels: [1, 2] };
  expect((await page(Array<ReportItem>(200_000).fill(item))).length).toBeGreaterThan(200_000);
});
