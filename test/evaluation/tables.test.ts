import { describe, expect, test } from 'vitest';
import { parseCsv } from '../../src/data/csv';
import { type Cell, cellPath, identityDifference } from '../../src/evaluation/grid';
import {
  type CellOutcome,
  compare,
  csvTable,
  jsonTable,
  latexTables,
  markdownTables,
} from '../../src/evaluation/tables';
import type { Estimate, PixelMetrics } from '../../src/metrics';

const estimate = (value: number, width = 0.02): Estimate => ({
  value,
  low: value - width,
  high: value + width,
});

function metrics(auroc: Estimate): PixelMetrics {
  const none = estimate(0.5);
  const curve = { x: [], y: [], threshold: [] };
  return {
    auroc,
    ap: none,
    f1max: { ...none, threshold: 1 },
    aupro: none,
    sensitivityAt: [],
    roc: curve,
    pr: curve,
  };
}

function done(cell: Cell, image: Estimate, pixel?: Estimate, best = false): CellOutcome {
  return {
    cell,
    record: {
      image: metrics(image),
      ...(pixel && { pixel: metrics(pixel) }),
      selection: best ? 'best-on-test' : 'last-epoch',
      failures: [],
    },
  };
}

const cell = (method: string, dataset: string, seed = 111, shots = 4): Cell => ({
  protocol: 'few-shot',
  method,
  dataset,
  shots,
  seed,
});

const few: readonly CellOutcome[] = [
  // Published 91.34 and 97.10: inside the first interval, outside the second.
  done(cell('mla-lp', 'Brain'), estimate(0.9), estimate(0.9)),
  done(cell('mvfa', 'Brain', 2), estimate(0.9)),
  done(cell('mvfa', 'Brain', 1), estimate(0.8)),
  done(cell('mla-lp', 'Own_|set'), estimate(0.7), estimate(0.6)),
  { cell: cell('winclip', 'Brain'), state: 'failed', reason: 'Brain: broken_file & more.' },
  { cell: cell('mla-lp', 'Chest'), state: 'cannot', reason: 'There is no Chest_AD.' },
  { cell: cell('mvfa', 'Chest'), state: 'open', reason: 'Stopped.' },
];

function comparison(outcomes: readonly CellOutcome[], method: string, dataset: string, metric = 'image') {
  return compare(outcomes).comparisons.find(
    (c) => c.method === method && c.dataset === dataset && c.metric === metric,
  );
}

describe('comparing', () => {
  test('sets ours beside the published number and marks what lies outside the interval', () => {
    const image = comparison(few, 'mla-lp', 'Brain')!;
    expect(image).toMatchObject({ published: 91.34, outside: false, ours: { value: 90, seeds: 1 } });
    expect(image.difference).toBeCloseTo(-1.34, 9);
    const pixel = comparison(few, 'mla-lp', 'Brain', 'pixel')!;
    expect(pixel).toMatchObject({ published: 97.1, outside: true });
  });

  test('a published number that rounds to the bound is inside', () => {
    const at = (low: number) => {
      const image = { value: 0.95, low, high: 0.99 };
      return comparison([done(cell('mla-lp', 'Brain'), image)], 'mla-lp', 'Brain')!.outside;
    };
    expect(at(0.91344)).toBe(false);
    expect(at(0.91346)).toBe(true);
  });

  test('several seeds: mean, deviation, and the hull of the intervals', () => {
    const { ours } = comparison(few, 'mvfa', 'Brain')!;
    expect(ours!.value).toBeCloseTo(85, 9);
    expect(ours!.deviation).toBeCloseTo(Math.sqrt(50), 9);
    expect([ours!.low, ours!.high, ours!.seeds]).toEqual([expect.closeTo(78, 9), expect.closeTo(92, 9), 2]);
  });

  test('published numbers stand alone where we have none; what is neither asked for nor published is no row', () => {
    expect(comparison(few, 'dra', 'Brain')).toEqual({
      protocol: 'few-shot',
      shots: 4,
      method: 'dra',
      dataset: 'Brain',
      metric: 'image',
      published: 80.62,
    });
    expect(comparison(few, 'mla-lp', 'Chest')).toMatchObject({ published: 82.13 });
    expect(comparison(few, 'winclip', 'Brain')).toBeUndefined();
    expect(comparison(few, 'mla-lp', 'Liver')).toBeUndefined();
    expect(comparison(few, 'mla-lp', 'Own_|set')).toMatchObject({ ours: { value: 70 } });
  });

  test('an undefined metric is not compared', () => {
    const nan = { value: Number.NaN, low: Number.NaN, high: Number.NaN };
    const outcomes = [done(cell('mla-lp', 'Brain'), nan)];
    expect(comparison(outcomes, 'mla-lp', 'Brain')!.outside).toBeUndefined();
    expect(markdownTables(compare(outcomes))).toMatch(/MLA-LP \| ours \| undefined/);
    expect(csvTable(compare(outcomes))).toMatch(/mla-lp,Brain,image_auroc,,,,,1,91.34,,\r\n/);
  });
});

describe('forms', () => {
  const grid = compare(few);
  const zero = compare([
    done(
      { protocol: 'zero-shot', method: 'winclip', dataset: 'Liver', seed: 1 },
      estimate(0.65),
      estimate(0.96),
      true,
    ),
  ]);

  test('Markdown: a table for each number of shots, every row as wide as its head', () => {
    const text = markdownTables(grid);
    const rows = text.split('\n').filter((line) => line.startsWith('|'));
    // A bar that is escaped separates nothing.
    const widths = rows.map((line) => line.replaceAll('\\|', '').split('|').length);
    expect(new Set(widths).size).toBe(1);
    expect(text).toContain('## Few-shot, 4 shots');
    expect(text).toContain(
      '| Method |  | ChestXray AC | BrainMRI AC | BrainMRI AS | Own\\_\\|set AC | Own\\_\\|set AS |',
    );
    expect(text).toContain('| MLA-LP | ours |  | 90.00 \\[88.0, 92.0\\] | 90.00 \\[88.0, 92.0\\] |');
    expect(text).toContain('|  | published | 82.13 | 91.34 | 97.10 |');
    expect(text).toContain('|  | difference |  | −1.34 | −7.10\\* |');
    expect(text).toContain('85.00 ± 7.07');
    expect(text).toContain('few-shot/winclip/Brain/4-shot/seed-111: failed: Brain: broken\\_file & more.');
    expect(text).toContain('few-shot/mla-lp/Chest/4-shot/seed-111: cannot be run: There is no Chest\\_AD.');
    expect(text).toContain('few-shot/mvfa/Chest/4-shot/seed-111: not done yet: Stopped.');
  });

  test('results that were chosen on the test set are said to be', () => {
    expect(markdownTables(zero)).toContain(
      'zero-shot/winclip/Liver/seed-1: the epoch that did best on the test images',
    );
    expect(markdownTables(grid)).not.toContain('optimistic');
    expect(markdownTables(zero)).toContain(
      '| WinCLIP | ours | 65.00 \\[63.0, 67.0\\] | 96.00 \\[94.0, 98.0\\] |',
    );
    expect(markdownTables(zero)).toContain('|  | difference | +0.80 | −0.20 |');
  });

  test('what several cells have in common is said once', () => {
    const noted = [1, 2, 3].map((seed) => ({
      ...done(cell('mla-lp', 'Brain', seed), estimate(0.9)),
      note: 'drawn',
    }));
    expect(markdownTables(compare(noted))).toMatch(
      /- few-shot\/mla-lp\/Brain\/4-shot\/seed-1 and 2 more cells: drawn\n$/,
    );
  });

  test('CSV: a line a comparison', () => {
    const [head, ...rows] = parseCsv(csvTable(grid), 'tables.csv').map(({ fields }) => fields);
    expect(head).toHaveLength(13);
    expect(rows).toHaveLength(grid.comparisons.length);
    const row = rows.find((r) => r[2] === 'mla-lp' && r[3] === 'Brain' && r[4] === 'pixel_auroc')!;
    expect(row.slice(0, 2)).toEqual(['few-shot', '4']);
    expect(row.slice(5).map(Number)).toEqual([90, 88, 92, 0, 1, 97.1, expect.closeTo(-7.1, 9), Number.NaN]);
    expect(row.at(-1)).toBe('true');
  });

  test('JSON: comparisons, cells, and where the numbers are from', () => {
    const table = JSON.parse(jsonTable(grid, { identity: { epochs: 50 } }));
    expect(table.comparisons).toEqual(JSON.parse(JSON.stringify(grid.comparisons)));
    expect(table.cells).toHaveLength(few.length);
    expect(table.cells[0]).toMatchObject({ dataset: 'Brain', state: 'done', selection: 'last-epoch' });
    expect(table.cells.at(-1)).toMatchObject({ state: 'open', reason: 'Stopped.' });
    expect(table.source).toContain('Tables 1 and 2');
    expect(table.identity).toEqual({ epochs: 50 });
  });

  test('LaTeX: every row has the columns that the preamble declares, nothing special is left bare', () => {
    const text = latexTables(grid);
    const columns = /\\begin\{tabular\}\{(\w+)\}/.exec(text)![1]!.length;
    for (const line of text.split('\n').filter((l) => l.endsWith('\\\\'))) {
      const spans = [...line.matchAll(/\\multicolumn\{(\d+)\}/g)].map((m) => Number(m[1]) - 1);
      expect(line.split(' & ').length + spans.reduce((a, b) => a + b, 0)).toBe(columns);
    }
    expect(text).toContain('MLA-LP & ours &  & 90.00 [88.0, 92.0] & 90.00 [88.0, 92.0]');
    expect(text).toContain('$-$7.10$^{*}$');
    expect(text).toContain('85.00 $\\pm$ 7.07');
    expect(text).toContain('\\multicolumn{2}{c}{BrainMRI}');
    expect(text).toContain('\\multicolumn{2}{c}{Own\\_|set}');
    const open = (name: string) =>
      text.split(`\\begin{${name}}`).length === text.split(`\\end{${name}}`).length;
    expect(open('table') && open('tabular')).toBe(true);
    // Comments may say anything.
    const bare = text
      .split('\n')
      .filter((line) => !line.startsWith('%') && /[±−]|[^\\][_#%]/.test(line.replace(/%$/, '')));
    expect(bare).toEqual([]);
  });
});

test('cells are called by what makes them', () => {
  expect(cellPath(cell('mvfa', 'Brain', 7))).toBe('few-shot/mvfa/Brain/4-shot/seed-7');
  expect(cellPath({ protocol: 'zero-shot', method: 'mvfa', dataset: 'Brain', seed: 7 })).toBe(
    'zero-shot/mvfa/Brain/seed-7',
  );
});

test('results of other settings are told apart', () => {
  expect(identityDifference({ epochs: 50 }, { epochs: 50 })).toBeUndefined();
  expect(identityDifference({ epochs: 50 }, { epochs: 10 })).toBe('epochs was 50 and is 10');
  expect(identityDifference({}, { steps: 10 })).toBe('steps was not given and is 10');
});
