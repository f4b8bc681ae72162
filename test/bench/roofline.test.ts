/** The roofline's numbers, and that a page of it is one file that treats every name as text. */
import { expect, test } from 'vitest';
import { html, type Markup } from '../../bench/laboratory/markup';
import { rooflinePage } from '../../bench/laboratory/page';
import { hasPlace, roofline, roofsOf } from '../../bench/laboratory/roofline';
import { recordView } from '../../bench/laboratory/view';
import type { ReadRecord } from '../../bench/read-record';
import { type Ceilings, rowOf } from '../../bench/record';

const CEILINGS: Ceilings = { f32Gflops: 100, f16Gflops: 200, copyGbps: 10, emptyRunMs: 0.1, compileMs: 3 };
const row = (variant: string, flops: number, bytes: number, ms: number, dtype: 'f32' | 'f16' = 'f32') =>
  rowOf({ suite: 'gemm', case: 'c', variant, dtype, floor: { flops, bytes } }, [ms], CEILINGS);

function all(markup: Markup | string, wanted: (m: Markup) => boolean): Markup[] {
  if (typeof markup === 'string') return [];
  return [...(wanted(markup) ? [markup] : []), ...markup.children.flatMap((child) => all(child, wanted))];
}
const ofClass = (markup: Markup, name: string) =>
  all(markup, (m) =>
    String(m.attributes.class ?? '')
      .split(' ')
      .includes(name),
  );
const numbers = (path: Markup) =>
  String(path.attributes.d)
    .match(/-?[\d.]+/g)!
    .map(Number);

// Rates: 1e8 FLOP in 1 ms are 100 GFLOP/s, the f32 roof; in 10 ms a tenth of it. 1e8 FLOP over 1e8 bytes: 1 FLOP a byte, where the slope is at 10.
const ROWS = [row('top', 1e8, 1e6, 1), row('tenth', 1e8, 1e6, 10), row('slope', 1e8, 1e8, 10, 'f16')];

test('points lie where their numbers say, on the roofs where they reach them', () => {
  const drawing = roofline(ROWS, CEILINGS)!;
  const at = (variant: string) => {
    const [point] = all(
      drawing,
      (m) => m.tag === 'g' && String(m.attributes['aria-label']).includes(` ${variant} `),
    );
    const [circle] = all(point!, (m) => m.tag === 'circle');
    return [Number(circle!.attributes.cx), Number(circle!.attributes.cy)] as const;
  };
  const [f16, f32] = ofClass(drawing, 'roof').filter((m) => !String(m.attributes.class).includes('copy'));
  expect([f16!.attributes.class, f32!.attributes.class]).toEqual(['roof f16', 'roof f32']);
  const [ridge, level] = numbers(f32!);
  expect(at('top')[1]).toBeCloseTo(level!, 1);
  const [x0, y0, x1, y1] = numbers(ofClass(drawing, 'copy')[0]!) as [number, number, number, number];
  const decade = { x: at('top')[0] - at('slope')[0], y: at('tenth')[1] - at('top')[1] };
  // 100 FLOP a byte against 1: two decades; the f32 ridge is at 10.
  expect(ridge! - at('slope')[0]).toBeCloseTo(decade.x / 2, 0);
  // On the slope: 10 GFLOP/s at 1 FLOP a byte.
  const [px, py] = at('slope');
  expect(y0 + ((px - x0) * (y1 - y0)) / (x1 - x0)).toBeCloseTo(py, 0);
  expect(py).toBeCloseTo(at('tenth')[1], 1);
  expect([x1, y1].map(Math.round)).toEqual(numbers(f16!).slice(0, 2).map(Math.round));
  expect(decade.y).toBeGreaterThan(50);
});

test('each point says its numbers to whoever hovers, focuses or listens', () => {
  const points = ofClass(roofline(ROWS, CEILINGS)!, 'point');
  expect(points.map((m) => m.attributes['aria-label'])).toEqual(
    expect.arrayContaining([
      '1 top f32: 100.0 GFLOP/s, 100% of the ceilings, 100.0 FLOP a byte',
      '3 slope f16: 10.00 GFLOP/s, 100% of the ceilings, 1.000 FLOP a byte',
    ]),
  );
  expect(points.every((m) => m.attributes.tabindex === 0)).toBe(true);
});

test('numbers beside points do not lie over each other', () => {
  const near = Array.from({ length: 6 }, (_, i) => row(`v${i}`, 1e8, 1e6, 2 + i / 100));
  const marks = ofClass(roofline(near, CEILINGS)!, 'mark')
    .map((m) => Number(m.attributes.y))
    .sort((a, b) => a - b);
  expect(marks).toHaveLength(6);
  for (const [i, y] of marks.entries()) if (i > 0) expect(y - marks[i - 1]!).toBeGreaterThanOrEqual(14.5);
});

test('rows without arithmetic have no place; nothing to draw is no drawing', () => {
  const copy = row('copy', 0, 1e6, 1);
  expect([copy, ...ROWS].filter(hasPlace)).toEqual(ROWS);
  expect(hasPlace({ engine: 'other', dtype: 'f32' })).toBe(false);
  expect(roofline(ROWS, { f32Gflops: 100 })).toBeUndefined();
  expect(roofline([copy], CEILINGS)).toBeUndefined();
  expect(roofsOf({ ...CEILINGS, matrixGflops: 900 } as Ceilings).map(({ name }) => name)).toEqual([
    'matrix',
    'f16',
    'f32',
  ]);
});

test('the page is one file under its policy, and every name in it is text', async () => {
  const evil = `<img src=x onerror=alert(1)>"`;
  const record: ReadRecord = {
    device: {
      name: evil,
      vendor: '',
      architecture: '',
      device: '',
      description: '',
      source: 'navigator',
      software: true,
      features: [],
      limits: {},
    },
    versions: { 'mla-lp': '1', node: evil, webgpu: '0' },
    date: evil,
    clock: 'wall',
    ceilings: CEILINGS,
    rows: [{ ...ROWS[0]!, variant: evil, case: evil }, row('copy', 0, 1e6, 1)],
    skipped: [{ suite: evil, case: evil, variant: evil, reason: evil }],
    failed: [{ suite: evil, case: evil, variant: evil, reason: evil }],
  };
  const page = await rooflinePage(evil, record, recordView(record));
  expect(page).toContain("default-src 'none'");
  expect(page).not.toMatch(/<img/);
  expect(page).not.toMatch(/https?:\/\//);
  expect(page).toMatch(/For tests only/);
  expect(page).toMatch(/without a place in the plot: 1\./);
  expect(html(recordView(record)[0]!)).toMatch(/^<p class="notice"/);
});
