import { describe, expect, test } from 'vitest';
import { gemm, gemmOp } from '../../src/kernels/gemm/gemm';
import { suites } from '../../src/kernels/suites';
import { PORTABLE } from '../../src/runtime/capabilities';
import { Graph } from '../../src/runtime/graph';
import type { Op, OpCall } from '../../src/runtime/op';
import { plan } from '../../src/runtime/plan';
import { legalVariants, TunedLookup, tableDigest, tuningKey } from '../../src/runtime/tuned';
import { doubleOp } from '../helpers/slow-fast';
import { callOf } from '../kernels/run-case';

const type = (...shape: number[]) => ({ dtype: 'f32' as const, shape });
const op = doubleOp(100);
const call: OpCall<null> = { inputs: [type(8)], outputs: [type(8)], attrs: null };

function graphOf(anyOp: Op<null>, size = 8): Graph {
  const g = new Graph();
  g.output('y', g.apply(anyOp, [g.input('x', 'f32', [size])], null)[0]!);
  return g;
}

function chosen(table: Record<string, string>, graph = graphOf(op), variants = {}): string {
  const tuned = new Map(Object.entries(table));
  return plan(graph, { ...PORTABLE, tuned }, { variants }).steps[0]!.variant;
}

test("a table's digest tells its rows, not their order", () => {
  const rows = [
    ['gemm:1', 'tiled'],
    ['gemm:2', 'split_2'],
  ] as const;
  const [one, other] = [tableDigest(new Map(rows)), tableDigest(new Map([...rows].reverse()))];
  expect(other).toBe(one);
  expect(tableDigest(new Map([rows[0]]))).not.toBe(one);
  expect(tableDigest(new Map([rows[0], ['gemm:2', 'split_4']]))).not.toBe(one);
  expect([tableDigest(undefined), tableDigest(new Map())]).toEqual(['none', 'none']);
});

describe('a plan', () => {
  const key = tuningKey(op, call, PORTABLE);

  test('takes what the table names', () => {
    expect(chosen({})).toBe('slow');
    expect(chosen({ [key]: 'fast' })).toBe('fast');
  });

  test('takes its own choice where the table names what does not exist or does not apply', () => {
    expect(chosen({ [key]: 'never' })).toBe('slow');
    expect(chosen({ [key]: 'faster' })).toBe('slow');
    expect(chosen({ [key]: '__proto__' })).toBe('slow');
    expect(chosen({ 'double:00000000-0': 'fast' })).toBe('slow');
  });

  test('takes a variant that it is told before the table', () => {
    expect(chosen({ [key]: 'fast' }, graphOf(op), { double: 'wrong' })).toBe('wrong');
  });

  test('takes nothing measured for another shape', () => {
    expect(chosen({ [key]: 'fast' }, graphOf(op, 16))).toBe('slow');
  });

  test('takes another table than the device has when it is told', () => {
    const caps = { ...PORTABLE, tuned: new Map([[key, 'fast']]) };
    expect(plan(graphOf(op), caps, { tuned: new Map() }).steps[0]!.variant).toBe('slow');
  });
});

describe('the key of a call', () => {
  test('is another one when a kernel, a constant, a grid, a name or what applies changes', () => {
    const keys = new Set([tuningKey(op, call, PORTABLE)]);
    const edited = (change: (text: string) => string) => twin(op, change);
    keys.add(tuningKey(doubleOp(101), call, PORTABLE)); // a text
    keys.add(
      tuningKey(
        edited((text) => text.replace('"SIZE":8', '"SIZE":9')),
        call,
        PORTABLE,
      ),
    );
    keys.add(
      tuningKey(
        edited((text) => text.replace('[1,1,1]', '[2,1,1]')),
        call,
        PORTABLE,
      ),
    );
    keys.add(tuningKey({ ...op, variants: op.variants.slice(0, 2) }, call, PORTABLE));
    keys.add(
      tuningKey({ ...op, variants: op.variants.map((v) => ({ ...v, name: `${v.name}2` })) }, call, PORTABLE),
    );
    expect(keys.size).toBe(6);
  });

  test('is the same for calls that would run the same kernels', () => {
    const g = new Graph();
    const rows = gemm(g, g.input('a', 'f32', [290, 64]), g.weight('w', 'f32', [32, 64]));
    const batch = gemm(g, g.input('b', 'f32', [1, 290, 64]), g.weight('w', 'f32', [32, 64]));
    const more = gemm(g, g.input('c', 'f32', [2, 290, 64]), g.weight('w', 'f32', [32, 64]));
    const keyOf = ({ producer }: typeof rows) =>
      tuningKey(
        producer!.op,
        {
          ...producer!,
          inputs: producer!.inputs.map((t) => t.type),
          outputs: producer!.outputs.map((t) => t.type),
        },
        PORTABLE,
      );
    expect(keyOf(rows)).toBe(keyOf(batch));
    expect(keyOf(more)).not.toBe(keyOf(rows));
  });

  test('is another one for every shape, layout, storage type and fusion of the tables', () => {
    const suite = suites.find((one) => one.op === (gemmOp as unknown))!;
    const names = new Map<string, string>();
    for (const one of suite.cases) {
      const key = tuningKey(suite.op, callOf(suite, one), { ...PORTABLE, f16: true });
      const lowerings = JSON.stringify([
        ...legalVariants(suite.op, callOf(suite, one), { ...PORTABLE, f16: true }),
      ]);
      expect(names.get(key) ?? lowerings, one.name).toBe(lowerings);
      names.set(key, lowerings);
    }
    expect(names.size).toBeGreaterThan(suite.cases.length / 2);
  });
});

test('every op names only variants that apply, whatever a table says', () => {
  for (const suite of suites) {
    for (const one of suite.cases) {
      const each = callOf(suite, one);
      const key = tuningKey(suite.op, each, PORTABLE);
      const legal = [...legalVariants(suite.op, each, PORTABLE).keys()];
      for (const { name } of suite.op.variants) {
        const found = new TunedLookup(new Map([[key, name]]), PORTABLE).find(suite.op, each);
        expect(found, `${one.name} ${name}`).toBe(
          legal.includes(name) && suite.op.variants.length > 1 ? name : undefined,
        );
      }
    }
  }
});

/** A twin of an op whose lowerings are edited as text. */
function twin(of: Op<null>, edit: (text: string) => string): Op<null> {
  return {
    ...of,
    variants: of.variants.map((variant) => ({
      name: variant.name,
      lower: (...args) => JSON.parse(edit(JSON.stringify(variant.lower(...args)))),
    })),
  };
}
