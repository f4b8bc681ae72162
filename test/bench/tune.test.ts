import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { parseArguments } from '../../bench/command';
import { commands } from '../../bench/commands';
import { Session } from '../../bench/session';
import { duel, type Judgement, judge, medianInterval } from '../../bench/tune/duel';
import { type BuiltGraph, search, type TunableCall, type Workshop } from '../../bench/tune/search';
import type { Situation } from '../../bench/tune/situation';
import { tune } from '../../bench/tune/tune';
import { loadTuning, thisDevice, writeTunedRows } from '../../src/io/node/tuned-files';
import type { TunedRow } from '../../src/io/tuned-table';
import { attention } from '../../src/kernels/attention/attention';
import { gemm } from '../../src/kernels/gemm/gemm';
import { layerNorm } from '../../src/kernels/layer-norm/layer-norm';
import { anySuite } from '../../src/kernels/suite';
import { firstMismatch } from '../../src/kernels/tolerance';
import { acquireAdapter } from '../../src/platform/node/adapter';
import { BufferStore } from '../../src/runtime/buffer-store';
import { Gpu } from '../../src/runtime/device';
import { OutOfMemoryError } from '../../src/runtime/errors';
import { Executable } from '../../src/runtime/executable';
import { Graph } from '../../src/runtime/graph';
import { plan } from '../../src/runtime/plan';
import { sizeOf } from '../../src/runtime/tensor-type';
import { legalVariants, type TunedTable, tuningKey } from '../../src/runtime/tuned';
import { openTestGpu } from '../helpers/gpu';
import { doubleOp, doubleSuite, ramp } from '../helpers/slow-fast';

/** Numbers in [0, 1) that a seed repeats. */
function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

describe('an interval of the median', () => {
  test('is what order statistics say', () => {
    // Conover: for eight values the extremes enclose the median with 1 - 2 / 2^8 = 0.9922.
    expect(medianInterval([1, 2, 3, 4, 5, 6, 7], 0.99)).toBeUndefined();
    expect(medianInterval([8, 1, 7, 2, 6, 3, 5, 4], 0.99)).toEqual([1, 8]);
    // Eleven values: the second and second last, 1 - 2 (1 + 11) / 2^11 = 0.9883.
    expect(medianInterval([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], 0.988)).toEqual([2, 10]);
    expect(medianInterval([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], 0.989)).toEqual([1, 11]);
  });

  test('holds the median as often as it promises', () => {
    const next = random(1);
    let inside = 0;
    for (let i = 0; i < 4000; i++) {
      const [low, high] = medianInterval(
        Array.from({ length: 20 }, () => next() ** 3),
        0.95,
      )!;
      if (low <= 0.125 && 0.125 <= high) inside++;
    }
    expect(inside / 4000).toBeGreaterThan(0.945);
  });
});

describe('a judgement', () => {
  const of = (ratios: number[], margin = 0.03): Judgement['verdict'] => judge(ratios, margin).verdict;
  test('needs enough turns, a gain in all likelihood, and the margin', () => {
    expect(of([0.5, 0.5, 0.5])).toBe('undecided');
    expect(of(Array(8).fill(0.5))).toBe('better');
    expect(of(Array(8).fill(0.98))).toBe('no');
    expect(of([0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 1.1])).toBe('undecided');
    expect(of([1.2, 1, 1.3, 1])).toBe('no');
    expect(of([1.2, 1, 1.3, 0.9])).toBe('undecided');
  });
});

test('in a duel all run in turns, who is judged runs no more, and time ends it', async () => {
  let now = 0;
  const order: string[] = [];
  const contender = (name: string, ms: number) => ({
    async sample() {
      order.push(name);
      now += ms;
      return ms;
    },
  });
  const judgements = await duel(contender('b', 10), [contender('x', 20), contender('y', 5)], {
    margin: 0.03,
    deadline: 1e9,
    now: () => now,
  });
  expect(judgements.map(({ verdict, turns }) => [verdict, turns])).toEqual([
    ['no', 4],
    ['better', 8],
  ]);
  expect(order.join('').slice(0, 12)).toBe('bxyyxbbxyyxb');
  const [none] = await duel(contender('b', 10), [contender('y', 5)], {
    margin: 0,
    deadline: now + 40,
    now: () => now,
  });
  expect(none).toMatchObject({ verdict: 'undecided', turns: 3 });
});

test('a duel that is judged once goes on to its end, unless all turns are lost', async () => {
  const contender = (ms: number) => ({ sample: async () => ms });
  const options = { margin: 0, deadline: Number.POSITIVE_INFINITY, mostTurns: 20, once: true };
  const judged = await duel(contender(10), [contender(5), contender(11)], options);
  expect(judged.map(({ verdict, turns }) => [verdict, turns])).toEqual([
    ['better', 20],
    ['no', 4],
  ]);
});

/** Of contenders that are equally fast, the share that passes for faster. */
async function passedByChance(once: boolean): Promise<number> {
  let passed = 0;
  for (let seed = 0; seed < 400; seed++) {
    const next = random(seed);
    const contender = { sample: async () => 1 + 0.1 * next() };
    const options = { margin: 0, deadline: Number.POSITIVE_INFINITY, mostTurns: 40, once };
    const [judgement] = await duel(contender, [contender], options);
    if (judgement!.verdict === 'better') passed++;
  }
  return passed / 400;
}

test('judged once, chance passes as rarely as the interval says; judged every turn, more often', async () => {
  expect(await passedByChance(true)).toBeLessThanOrEqual(0.01);
  expect(await passedByChance(false)).toBeGreaterThan(0.01);
});

/** A device whose times are arithmetic: a call takes its variant's time, alone and in the graph, times noise. */
class Bench implements Workshop {
  readonly name = 'arithmetic';
  now = 0;
  built = 0;
  live = 0;
  readonly calls: readonly TunableCall[];

  /** @param inGraph ms of call -> variant; the first one is the choice. @param alone where it differs. */
  constructor(
    readonly inGraph: Readonly<Record<string, Readonly<Record<string, number>>>>,
    readonly alone: Readonly<Record<string, number>> = {},
    readonly noise: () => number = () => 1,
    readonly rest = 0,
    /** Whether it has a clock for each call. */
    readonly clock = false,
  ) {
    const total = Object.values(inGraph).reduce((sum, times) => sum + Object.values(times)[0]!, rest);
    this.calls = Object.entries(inGraph).map(([key, times]) => {
      const [choice, ...others] = Object.keys(times) as [string, ...string[]];
      return { key, text: key, choice, others, share: times[choice]! / total };
    });
  }

  async tryAlone({ key }: TunableCall, variant: string) {
    this.now += 10;
    if (variant.startsWith('wrong')) return { wrong: 'element 0 is 1 and not 2' };
    return { ms: this.alone[variant] ?? this.inGraph[key]![variant]! };
  }

  async build(table: TunedTable): Promise<BuiltGraph> {
    this.built++;
    this.live++;
    const ms = this.calls.reduce(
      (sum, { key, choice }) => sum + this.inGraph[key]![table.get(key) ?? choice]!,
      this.rest,
    );
    return {
      sample: async () => {
        const time = ms * this.noise();
        this.now += time;
        return time;
      },
      ...(this.clock && {
        sampleCalls: async () => {
          this.now += ms;
          return new Map(
            this.calls.map(({ key, choice }) => [
              key,
              this.inGraph[key]![table.get(key) ?? choice]! * this.noise(),
            ]),
          );
        },
      }),
      destroy: () => {
        this.live--;
      },
    };
  }
}

async function searched(bench: Bench, options: Partial<Parameters<typeof search>[1]> = {}) {
  const lines: string[] = [];
  const result = await search(bench, {
    base: new Map(),
    budgetMs: 1e6,
    margin: 0.03,
    now: () => bench.now,
    report: (line) => lines.push(line),
    ...options,
  });
  expect(bench.live).toBe(0);
  const table = Object.fromEntries(result.wins.map(({ call, variant }) => [call.key, variant]));
  return { ...result, table, lines };
}

describe.each([
  ['whole graphs', false],
  ['calls within a graph', true],
])('a search that times %s', (_what, clock) => {
  const bench = (...[inGraph, alone, noise, rest]: ConstructorParameters<typeof Bench>) =>
    new Bench(inGraph, alone, noise, rest, clock);

  test('finds the fastest right variant of each call', async () => {
    const one = bench({ a: { slow: 100, fast: 50, faster: 40, wrong: 1 }, b: { good: 50, bad: 60 } });
    const { table, settled, whole, lines } = await searched(one);
    expect(table).toEqual({ a: 'faster' });
    expect(settled.length).toBe(2);
    expect(whole!.ratio).toBeCloseTo(90 / 150);
    expect(lines.join('\n')).toContain('wrong is left out: element 0 is 1 and not 2');
  });

  test('believes the graph, not the kernel alone', async () => {
    const one = bench({ a: { choice: 100, cached: 120 } }, { cached: 10 });
    expect((await searched(one)).table).toEqual({});
    // And it tries nothing in the graph that is hopeless alone.
    const other = bench({ a: { choice: 100, hopeless: 1 } }, { hopeless: 200 });
    expect((await searched(other)).table).toEqual({});
    expect(other.built).toBe(1);
  });

  test('leaves gains below the margin', async () => {
    expect((await searched(bench({ a: { choice: 100, other: 98 } }))).table).toEqual({});
    expect((await searched(bench({ a: { choice: 100, other: 96 } }))).table).toEqual({ a: 'other' });
    // Three per cent of the call's time, a tenth of the graph.
    expect((await searched(bench({ a: { choice: 100, other: 96 } }, {}, undefined, 900))).table).toEqual({
      a: 'other',
    });
  });

  test('gives nothing when the graph as a whole is not faster', async () => {
    const one = bench({ a: { choice: 100, other: 50 } });
    const build = one.build.bind(one);
    one.build = async (table) => {
      const graph = await build(table);
      const whole = table.has('a') ? 101 : 100;
      // Each call for itself is faster; together they are not.
      return {
        ...graph,
        sample: async () => whole,
        sampleCalls: async () => new Map([['a', table.has('a') ? 50 : 100]]),
      };
    };
    const { table, whole } = await searched(one);
    expect(table).toEqual({});
    expect(whole!.verdict).toBe('no');
  });

  test('leaves a variant out that cannot run in the graph', async () => {
    const one = bench({ a: { choice: 100, other: 50, third: 60 } });
    const build = one.build.bind(one);
    one.build = async (table) => {
      if (table.get('a') === 'other') throw new OutOfMemoryError('Too large.');
      return build(table);
    };
    const { table, lines } = await searched(one);
    expect(table).toEqual({ a: 'third' });
    expect(lines.join('\n')).toContain('other is left out: Too large.');
  });

  test('stopped in the graph it keeps what is settled, and asks for ten turns more at most', async () => {
    const stop = new AbortController();
    let stopped = 0;
    const next = random(1);
    // The first call is settled after eight turns, the second drowns in noise.
    const noise = () => 1 + 0.3 * next();
    const one = bench({ a: { slow: 100, fast: 50 }, b: { slow: 90, other: 87.3 } }, {}, noise);
    const { table, settled } = await searched(one, {
      signal: stop.signal,
      now: () => {
        if (one.now > 5000 && !stop.signal.aborted) {
          stop.abort();
          stopped = one.now;
        }
        return one.now;
      },
    });
    expect(stopped).toBeGreaterThan(0);
    expect(table).toEqual({ a: 'fast' });
    expect(settled.map(({ key }) => key)).toEqual(['a']);
    expect(one.now - stopped).toBeLessThan(12 * 2 * 190 * 1.3);
  });

  test('looks at nothing more when time is up, and takes ten turns at last whatever is left', async () => {
    const one = bench({ a: { slow: 100, fast: 50 }, b: { slow: 90, fast: 50 } });
    expect((await searched(one, { budgetMs: 10 })).settled).toEqual([]);
    expect(one.now).toBeLessThan(100);
    const other = bench({ a: { slow: 100, fast: 50 } });
    expect((await searched(other, { budgetMs: 1600 })).table).toEqual({ a: 'fast' });
    expect(other.now).toBeLessThan(3000);
  });

  test('is never led by noise to a table that is slower', async () => {
    let tables = 0;
    for (let seed = 0; seed < 200; seed++) {
      const next = random(seed);
      // A tenth of the runs is disturbed by other work, the others vary by ten per cent.
      const noise = () => (next() < 0.1 ? 1 + 2 * next() : 1 + 0.1 * next());
      const one = bench({ a: { choice: 50, same: 50, slower: 51 }, b: { choice: 50, slow: 52 } }, {}, noise);
      if ((await searched(one)).wins.length > 0) tables++;
    }
    // None is faster. At 99 % in the search and again in the last comparison, hardly any passes by chance.
    expect(tables).toBeLessThanOrEqual(2);
    for (let seed = 0; seed < 20; seed++) {
      const next = random(seed);
      const noise = () => (next() < 0.1 ? 1 + 2 * next() : 1 + 0.1 * next());
      const one = bench({ a: { choice: 50, faster: 25 } }, {}, noise);
      expect((await searched(one)).table, `seed ${seed}`).toEqual({ a: 'faster' });
    }
  });
});

describe('on a device', async () => {
  const gpu = await openTestGpu();
  const folder = mkdtempSync(join(tmpdir(), 'mla-lp-tune-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'table.json');

  // Slow enough that other work on the machine does not hide it.
  const op = doubleOp(1500);
  const type = { dtype: 'f32' as const, shape: [512] };
  const suites = [anySuite(doubleSuite(op, [type]))];
  const graph = new Graph();
  const y = graph.apply(op, [graph.input('x', 'f32', [512])], null)[0]!;
  graph.output('y', graph.apply(op, [y], null)[0]!);
  const store = new BufferStore(gpu);
  const situation: Situation = {
    name: 'twice',
    graph,
    inputs: { x: ramp(512) },
    compile: (tuned) => Executable.compile(gpu, plan(graph, gpu.caps, { tuned }), store),
    destroy: () => {},
  };
  const lines: string[] = [];
  const tuned = (options: Partial<Parameters<typeof tune>[2]> = {}) => {
    lines.length = 0;
    return tune(new Session(gpu, { budget: 1, quiet: true }), [async () => [situation]], {
      budget: 20,
      margin: 0.03,
      to: path,
      suites,
      print: (line) => lines.push(line),
      ...options,
    });
  };
  const load = () => loadTuning(gpu.info, gpu.caps.software, { MLA_LP_TUNED: path });

  test('the tuner finds the fast variant, refuses the wrong one, and plans use it', async () => {
    // What lies there is garbage: it is told of, used for nothing, and replaced.
    writeFileSync(path, '{"format":"mla-lp tuned table","schema":1,"rows":[');
    expect((await load())!.table.size).toBe(0);
    const rows = await tuned({ clock: 'wall' });
    expect(rows.map(({ variant, instead, where }) => [variant, instead, where])).toEqual([
      ['fast', 'slow', 'twice'],
    ]);
    expect(lines.join('\n')).toMatch(/wrong is left out: it differs from slow/);
    const { table, notes } = (await load())!;
    expect([table.size, notes.length]).toEqual([1, 0]);
    const steps = plan(graph, { ...gpu.caps, tuned: table }).steps.map(({ variant }) => variant);
    expect(steps).toEqual(['fast', 'fast']);

    // Again: measured anew from the engine's own choice, and the same row once. Rows of kernels that have changed go.
    const device = thisDevice(gpu.info, gpu.caps.software);
    const [row] = rows as [TunedRow];
    const elsewhere = { ...row, key: 'double:00000001-1', where: 'elsewhere' };
    await writeTunedRows(path, device, [row, { ...row, key: 'double:00000000-0' }, elsewhere]);
    const before = readFileSync(path, 'utf8');
    const again = await tuned({ clock: 'wall', dryRun: true });
    expect(again.map(({ key }) => key)).toEqual([elsewhere.key, row.key]);
    expect(lines.join('\n')).toContain('fast instead of slow');
    expect(readFileSync(path, 'utf8')).toBe(before);
    await writeTunedRows(path, device, rows);
  });

  test('a device opened with that table computes the same', async () => {
    const own = await Gpu.open(await acquireAdapter(), await load());
    try {
      const executable = await Executable.compile(own, plan(graph, own.caps), new BufferStore(own));
      expect(executable.plan.steps[0]!.variant).toBe('fast');
      const { y: got } = await executable.run({ x: ramp(512) });
      ramp(512).forEach((value, i) => {
        expect(got![i]).toBe(4 * value);
      });
    } finally {
      own.destroy();
    }
  });

  test('a choice that is wrong itself is no measure of others', async () => {
    const broken = { ...op, choose: () => 'wrong' };
    const own = new Graph();
    own.output('y', own.apply(broken, [own.input('x', 'f32', [512])], null)[0]!);
    const compile: Situation['compile'] = (table) =>
      Executable.compile(gpu, plan(own, gpu.caps, { tuned: table }), store);
    const session = new Session(gpu, { budget: 1, quiet: true });
    const options = {
      budget: 5,
      margin: 0.03,
      clock: 'wall',
      dryRun: true,
      to: join(folder, 'none'),
    } as const;
    const found: string[] = [];
    const rows = await tune(session, [async () => [{ ...situation, graph: own, compile }]], {
      ...options,
      suites: [anySuite(doubleSuite(broken, [type]))],
      print: (line) => found.push(line),
    });
    expect(rows).toEqual([]);
    expect(found.join('\n')).toContain('wrong itself is wrong: output 0, element 0');
  });

  test('whatever a table names, results stay what they are', async () => {
    const block = new Graph();
    const x = block.input('x', 'f32', [1, 20, 64]);
    const normal = layerNorm(block, x, block.weight('gain', 'f32', [64]), block.weight('shift', 'f32', [64]));
    const qkv = gemm(block, normal, block.weight('qkv', 'f32', [192, 64]), {
      bias: block.weight('b', 'f32', [192]),
    });
    const mixed = attention(block, qkv, { heads: 2 });
    block.output(
      'y',
      gemm(block, mixed, block.weight('out', 'f32', [64, 64]), { residual: x, activation: 'gelu' }),
    );
    const weights = new BufferStore(gpu);
    for (const [name, { type }] of block.weights) {
      await weights.create(name, type);
      await weights.write(
        name,
        ramp(sizeOf(type)).map((value) => value / 4),
      );
    }
    const run = async (tuned: TunedTable) => {
      const executable = await Executable.compile(gpu, plan(block, gpu.caps, { tuned }), weights);
      const { y } = await executable.run({ x: ramp(20 * 64) });
      executable.destroy();
      return { y: y!, variants: executable.plan.steps.map(({ variant }) => variant).join(' ') };
    };
    const own = await run(new Map());
    const next = random(5);
    const seen = new Set([own.variants]);
    for (let i = 0; i < 4; i++) {
      const table = new Map(
        block.nodes.map(({ op: each, inputs, outputs, attrs }) => {
          const call = { inputs: inputs.map((t) => t.type), outputs: outputs.map((t) => t.type), attrs };
          // lavapipe takes up to a minute to compile a kernel with barriers; SwiftShader tries them.
          const slow = gpu.caps.software && gpu.caps.subgroupMaxSize >= 8;
          const legal = [...legalVariants(each, call, gpu.caps)].flatMap(([name, { dispatches }]) =>
            slow && dispatches.some(({ kernel }) => kernel.wgsl.includes('workgroupBarrier')) ? [] : [name],
          );
          return [tuningKey(each, call, gpu.caps), legal[Math.floor(next() * legal.length)]!];
        }),
      );
      const other = await run(table);
      seen.add(other.variants);
      expect(firstMismatch(other.y, own.y, { atol: 1e-4, rtol: 1e-4 }), other.variants).toBeUndefined();
    }
    expect(seen.size).toBeGreaterThan(2);
    weights.destroy();
  });
});

test('the command line knows what to tune', () => {
  const { command, flags } = parseArguments(
    ['tune', '--batch', '1,16', '--margin', '5', '--train'],
    commands,
  );
  expect(command).toBe('tune');
  expect(flags).toMatchObject({ batch: [1, 16], margin: 0.05, train: true, imageSize: 240, budget: 180 });
  for (const bad of [
    ['--batch', '0'],
    ['--batch', '1,,2'],
    ['--clock', 'sundial'],
    ['--margin', 'all'],
  ])
    expect(() => parseArguments(['tune', ...bad], commands)).toThrow();
});
