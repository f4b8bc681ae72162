import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { activation, activationOp } from '../../src/kernels/activation/activation';
import { gemm } from '../../src/kernels/gemm/gemm';
import { reduce } from '../../src/kernels/reduce/reduce';
import { softmax } from '../../src/kernels/softmax/softmax';
import { weightedSum } from '../../src/kernels/weighted-sum/weighted-sum';
import { foldGrid, PORTABLE } from '../../src/runtime/capabilities';
import { LimitError, MlaLpError } from '../../src/runtime/errors';
import { Graph, type Tensor } from '../../src/runtime/graph';
import type { Op } from '../../src/runtime/op';
import { formatPlan, type Plan, plan, type Slot } from '../../src/runtime/plan';

const MIX = [0.8, 0.1, 0.1];

/** What must hold of every plan: nothing that lives at one time overlaps, nothing is read and written in one buffer. */
function check(p: Plan): void {
  for (const [i, a] of p.slots.entries()) {
    expect(a.offset % 256).toBe(0);
    expect(a.offset + a.bytes).toBeLessThanOrEqual(p.arenas[a.arena]!);
    for (const b of p.slots.slice(i + 1)) {
      const together = a.first <= b.last && b.first <= a.last;
      const apart = a.arena !== b.arena || a.offset + a.bytes <= b.offset || b.offset + b.bytes <= a.offset;
      if (together) expect(apart, `${a.name} and ${b.name} overlap`).toBe(true);
    }
  }
  for (const step of p.steps) {
    for (const { places, layout } of step.dispatches) {
      const read = new Set<number>();
      const written = new Set<number>();
      places.forEach((place, i) => {
        if (place.kind !== 'arena') return;
        (layout.bindings[i]!.access === 'read' ? read : written).add(place.slot.arena);
        const index = p.steps.indexOf(step);
        expect(place.slot.first).toBeLessThanOrEqual(index);
        expect(place.slot.last).toBeGreaterThanOrEqual(index);
      });
      expect([...read].filter((arena) => written.has(arena))).toEqual([]);
    }
  }
}

const live = (slots: readonly Slot[]) => slots.reduce((sum, s) => sum + s.bytes, 0);

describe('arenas', () => {
  test('a chain needs two buffers of the size of its tensors, however long it is', () => {
    const g = new Graph();
    let x = g.input('x', 'f32', [1000]);
    for (let i = 0; i < 20; i++) x = activation(g, x, 'gelu');
    g.output('y', x);
    const p = plan(g, PORTABLE);
    check(p);
    expect(p.arenas).toEqual([4096, 4096]);
    expect(live(p.slots)).toBe(20 * 4000);
  });

  test('an output keeps its bytes to the end, also when it is read on the way', () => {
    const g = new Graph();
    const first = activation(g, g.input('x', 'f32', [64]), 'gelu');
    g.output('first', first);
    let x = first;
    for (let i = 0; i < 5; i++) x = activation(g, x, 'gelu');
    g.output('last', x);
    const p = plan(g, PORTABLE);
    check(p);
    expect(p.outputs.get('first')!.slot.last).toBe(p.steps.length);
  });

  test('a view shares the bytes, and keeps them alive', () => {
    const g = new Graph();
    const a = activation(g, g.input('x', 'f32', [6, 4]), 'gelu');
    const b = softmax(g, g.reshape(a, [3, 8]));
    const c = softmax(g, b);
    g.output(
      'y',
      g.reshape(weightedSum(g, [g.reshape(c, [24]), g.reshape(a, [24]), g.reshape(b, [24])], MIX), [2, 12]),
    );
    const p = plan(g, PORTABLE);
    check(p);
    expect(p.slots).toHaveLength(4);
    expect(p.outputs.get('y')!.type.shape).toEqual([2, 12]);
    expect(p.slots[0]!.last).toBe(3);
  });

  test('nodes that no output needs are dropped', () => {
    const g = new Graph();
    const x = g.input('x', 'f32', [8]);
    activation(g, x, 'gelu');
    g.output('y', activation(g, x, 'quick_gelu'));
    expect(plan(g, PORTABLE).steps.map((s) => s.node.id)).toEqual([1]);
  });

  test('every random graph keeps the rules', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(99), fc.nat(99), fc.nat(99), fc.constantFrom(0, 1, 2)), {
          minLength: 1,
          maxLength: 25,
        }),
        fc.array(fc.nat(24), { maxLength: 3 }),
        (nodes, outputs) => {
          const g = new Graph();
          const made: Tensor[] = [g.input('x', 'f32', [4, 100]), g.weight('w', 'f32', [4, 100])];
          const pick = (n: number) => made[n % made.length]!;
          for (const [a, b, c, kind] of nodes) {
            if (kind === 0) made.push(weightedSum(g, [pick(a), pick(b), pick(c)], MIX));
            else if (kind === 1) made.push(softmax(g, pick(a)));
            else made.push(g.reshape(activation(g, g.reshape(pick(a), [400]), 'gelu'), [4, 100]));
          }
          const results = made.slice(2);
          g.output('last', results.at(-1)!);
          outputs.forEach((n, i) => {
            g.output(`y${i}`, results[n % results.length]!);
          });
          check(plan(g, PORTABLE));
        },
      ),
      { numRuns: 60 },
    );
  });

  test('the rules can be broken, and that is seen', () => {
    const chain = () => {
      const g = new Graph();
      const x = softmax(g, softmax(g, g.input('x', 'f32', [100])));
      g.output('y', weightedSum(g, [x, x, x], MIX));
      return plan(g, PORTABLE);
    };
    expect(() => check(chain())).not.toThrow();
    const overlapping = chain();
    Object.assign(overlapping.slots[1]!, {
      arena: overlapping.slots[0]!.arena,
      offset: overlapping.slots[0]!.offset,
    });
    expect(() => check(overlapping)).toThrow('overlap');
    const mixed = chain();
    Object.assign(mixed.slots[1]!, { arena: mixed.slots[0]!.arena, offset: 512 });
    Object.assign(mixed, { arenas: [2048, 2048] });
    expect(() => check(mixed)).toThrow();
  });

  test('a tensor larger than a binding may be is refused by name and size', () => {
    const g = new Graph();
    const x = g.input('x', 'f32', [64, 1024]);
    g.output('y', gemm(g, x, g.weight('w', 'f32', [2048, 1024])));
    const small = { ...PORTABLE, maxBindingBytes: 500_000 };
    expect(() => plan(g, small)).toThrow(LimitError);
    expect(() => plan(g, small)).toThrow(
      '524288 is needed, this device has 500000. gemm#0 f32[64,2048] is too large',
    );
  });

  test('no arena grows beyond the largest buffer', () => {
    const g = new Graph();
    const x = g.input('x', 'f32', [1000]);
    const parts = Array.from({ length: 3 }, () => softmax(g, x));
    g.output('y', weightedSum(g, [parts[0]!, parts[1]!, parts[2]!], MIX));
    const p = plan(g, { ...PORTABLE, maxBindingBytes: 4096, maxBufferBytes: 8192 });
    check(p);
    expect(Math.max(...p.arenas)).toBeLessThanOrEqual(8192);
  });
});

describe('variants', () => {
  const graph = () => {
    const g = new Graph();
    g.output('y', reduce(g, g.input('x', 'f32', [4, 1000]), 1, 'sum'));
    return g;
  };

  test('are chosen, unless named', () => {
    expect(plan(graph(), PORTABLE).steps[0]!.variant).toBe('workgroup');
    expect(plan(graph(), { ...PORTABLE, software: true }).steps[0]!.variant).toBe('plain');
    expect(plan(graph(), PORTABLE, { variants: { reduce: 'plain' } }).steps[0]!.variant).toBe('plain');
  });

  test('an unknown or impossible one is refused', () => {
    expect(() => plan(graph(), PORTABLE, { variants: { reduce: 'fast' } })).toThrow(
      'reduce has no variant fast. It has: plain, workgroup.',
    );
    const g = new Graph();
    g.output('y', gemm(g, g.input('x', 'f32', [4, 6]), g.weight('w', 'f32', [4, 6])));
    expect(() => plan(g, PORTABLE, { variants: { gemm: 'tiled' } })).toThrow('K = 6 is not a multiple of 4');
  });
});

test('a binding that the kernel lacks or misses is refused by name', () => {
  const dispatchWith = (bindings: Record<string, { input: number } | { output: number }>) => {
    const op: Op<{ kind: 'gelu' }> = {
      ...activationOp,
      variants: [
        {
          name: 'plain',
          lower: (call, caps) => {
            const lowering = activationOp.variants[0]!.lower(call, caps);
            if ('cannot' in lowering) return lowering;
            return { ...lowering, dispatches: lowering.dispatches.map((d) => ({ ...d, bindings })) };
          },
        },
      ],
      choose: () => 'plain',
    };
    const g = new Graph();
    g.output('y', g.apply(op, [g.input('x', 'f32', [4])], { kind: 'gelu' })[0]!);
    return () => plan(g, PORTABLE);
  };
  expect(dispatchWith({ x: { input: 0 } })).toThrow('activation needs the binding y');
  expect(dispatchWith({ x: { input: 0 }, y: { output: 0 }, z: { input: 0 } })).toThrow('no binding z');
  expect(dispatchWith({ x: { input: 0 }, y: { output: 0 } })).not.toThrow();
  expect(dispatchWith({})).toThrow(MlaLpError);
});

test('the listing names every node and the totals', () => {
  const g = new Graph();
  const x = g.input('x', 'f32', [4, 100]);
  g.output(
    'y',
    g.scope('head', () => softmax(g, activation(g, x, 'gelu'))),
  );
  const listing = formatPlan(plan(g, PORTABLE));
  expect(listing).toMatch(/^head\/activation +plain +f32\[4,100\]/m);
  expect(listing).toMatch(/2 nodes, 2 dispatches/);
});

test('a grid is folded just beyond the limit, covers everything and wastes less than a row', () => {
  expect(foldGrid(65535, PORTABLE)).toEqual([65535, 1, 1]);
  expect(foldGrid(65536, PORTABLE)).toEqual([32768, 2, 1]);
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 65535 * 300 }), (groups) => {
      const [x, y, z] = foldGrid(groups, PORTABLE);
      expect(Math.max(x, y)).toBeLessThanOrEqual(65535);
      expect(x * y * z).toBeGreaterThanOrEqual(groups);
      expect(x * y * z - groups).toBeLessThan(y);
    }),
  );
});
