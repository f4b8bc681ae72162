import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  BASIC_FUNCTIONS,
  PickleDict,
  PickleList,
  PickleObject,
  type PickleRules,
  type PickleValue,
  unpickle,
} from '../../src/io/pickle';
import { BadFileError } from '../../src/runtime/errors';
import { dict, int, long, ops, pickle, text, tuple } from './make-torch';

const RULES: PickleRules = {
  functions: BASIC_FUNCTIONS,
  names: new Set(['torch.FloatStorage']),
  isClass: (name) => name.startsWith('__torch__.'),
  persistent: (_, refuse) => refuse('a reference'),
};

const read = (data: Uint8Array<ArrayBuffer>) => unpickle(data, 'some.pt', 1000, RULES);

/** Values as JSON can show them. */
function plain(value: PickleValue): unknown {
  if (value instanceof PickleList) return value.items.map(plain);
  if (value instanceof PickleDict)
    return Object.fromEntries([...value.entries].map(([key, item]) => [key, plain(item)]));
  if (value instanceof PickleObject) return { [value.type]: plain(value.state) };
  return value;
}

function refused(data: Uint8Array<ArrayBuffer>, fact: RegExp): BadFileError {
  const start = performance.now();
  let error: unknown;
  try {
    read(data);
  } catch (caught) {
    error = caught;
  }
  expect(error).toBeInstanceOf(BadFileError);
  expect((error as BadFileError).message).toMatch(fact);
  expect((error as BadFileError).message).toMatch(/^some\.pt: .*\(at byte \d+\)/);
  // Against hanging; a busy machine may take its time.
  expect(performance.now() - start).toBeLessThan(20_000);
  return error as BadFileError;
}

describe('pickles', () => {
  it.each<[string, Uint8Array<ArrayBuffer>, unknown]>([
    [
      'numbers',
      pickle(tuple(int(-5), ops('K', 200), ops('M', 1, 2), long(-(2n ** 40n)))),
      [-5, 200, 513, -(2 ** 40)],
    ],
    ['an integer past 2^53', pickle(long(2n ** 60n)), 2n ** 60n],
    ['an integer of no bytes', pickle(ops(0x8a, 0)), 0],
    ['a float', pickle(ops('G', 0x3f, 0xf8, 0, 0, 0, 0, 0, 0)), 1.5],
    ['constants', pickle(ops('N', 0x88, 0x89, 0x87)), [null, true, false]],
    [
      'text',
      pickle(tuple(text('häß'), ops(0x8c, 1, 'x'), ops(0x8d, 1, 0, 0, 0, 0, 0, 0, 0, 'y'))),
      ['häß', 'x', 'y'],
    ],
    ['bytes', pickle(ops('C', 2, 'ab')), Uint8Array.of(97, 98)],
    ['a nested dict', pickle(dict({ a: dict({ b: int(1) }), c: ops(']') })), { a: { b: 1 }, c: [] }],
    ['lists', pickle(ops(']', '(', int(1), int(2), 'e', int(3), 'a')), [1, 2, 3]],
    ['the old forms of list and dict', pickle(ops('(', text('k'), '(', int(1), 'l', 'd')), { k: [1] }],
    ['keys that are numbers', pickle(ops('}', int(7), int(8), 's')), { 7: 8 }],
    ['the memo', pickle(tuple(ops(text('x'), 'q', 5), ops('h', 5), ops('j', 5, 0, 0, 0))), ['x', 'x', 'x']],
    ['protocol 4', ops(0x80, 4, 0x95, 4, 0, 0, 0, 0, 0, 0, 0, 0x8c, 1, 'x', 0x94, '.'), 'x'],
    [
      'an OrderedDict with attributes',
      pickle(
        ops('ccollections\nOrderedDict\n', ')R', text('k'), int(1), 's', dict({ _metadata: ops('}') }), 'b'),
      ),
      { k: 1 },
    ],
    [
      'a TorchScript object',
      pickle(ops('c__torch__.a.b\nC\n', ')', 0x81, dict({ w: int(3) }), 'b')),
      { '__torch__.a.b.C': { w: 3 } },
    ],
    ['names of prototypes', pickle(dict({ constructor: int(1) })), { constructor: 1 }],
    ['pops', pickle(ops(int(1), int(2), '0', '(', int(3), '1')), 1],
    ['a numpy scalar', pickle(scalar('f8', '<', '\x00\x00\x00\x00\x00\x00\xf8\x3f')), 1.5],
    ['a numpy scalar of a big machine', pickle(scalar('i4', '>', '\x00\x00\x01\x00')), 256],
  ])('%s', (_, data, value) => expect(plain(read(data))).toEqual(value));

  it('keeps __proto__ an ordinary key', () => {
    const value = read(pickle(dict({ ['__proto__']: int(1) }))) as PickleDict;
    expect([...value.entries]).toEqual([['__proto__', 1]]);
  });

  it('lets a list hold itself', () => {
    const value = read(pickle(ops(']', 'q', 0, 'h', 0, 'a'))) as PickleList;
    expect(value.items[0]).toBe(value);
  });
});

function scalar(type: string, order: string, data: string): Uint8Array {
  const dtype = ops('cnumpy\ndtype\n', tuple(text(type), ops(0x89), ops(0x88)), 'R');
  const state = tuple(int(3), text(order), ops('N'), ops('N'), ops('N'), int(-1), int(-1), int(0));
  const bytes = ops('c_codecs\nencode\n', tuple(text(data), text('latin1')), 'R');
  return ops('cnumpy.core.multiarray\nscalar\n', tuple(ops(dtype, state, 'b'), bytes), 'R');
}

describe('pickles that attack', () => {
  const system = ops('cos\nsystem\n', tuple(text('echo')), 'R');
  it.each<[string, Uint8Array<ArrayBuffer>, RegExp]>([
    ['GLOBAL os.system', pickle(system), /"os\.system"/],
    ['builtins.eval', pickle(ops('cbuiltins\neval\n', tuple(text('1')), 'R')), /"builtins\.eval"/],
    [
      'a listed name that is no function',
      pickle(ops('ctorch\nFloatStorage\n', ')R')),
      /a call of "torch\.FloatStorage"/,
    ],
    ['a call of a value', pickle(ops(text('f'), ')R')), /no function/],
    ['STACK_GLOBAL', pickle(ops(text('os'), text('system'), 0x93)), /"os\.system"/],
    [
      'STACK_GLOBAL from the memo',
      pickle(ops(text('os'), 'q', 0, text('system'), 'q', 1, '00', 'h', 0, 'h', 1, 0x93)),
      /"os\.system"/,
    ],
    ['STACK_GLOBAL of a list', pickle(ops(']', ']', 0x93)), /by no text/],
    ['INST', pickle(ops('(', 'ios\nsystem\n')), /0x69/],
    ['OBJ', pickle(ops('(', 'c__torch__\nC\n', 'o')), /0x6f/],
    ['EXT1', pickle(ops(0x82, 1)), /0x82/],
    ['EXT4', pickle(ops(0x84, 1, 0, 0, 0)), /0x84/],
    ['NEWOBJ_EX', pickle(ops('c__torch__\nC\n', ')', '}', 0x92)), /0x92/],
    ['NEWOBJ of a function', pickle(ops('ccollections\nOrderedDict\n', ')', 0x81)), /no class/],
    ['NEWOBJ with arguments', pickle(ops('c__torch__\nC\n', tuple(int(1)), 0x81)), /arguments/],
    ['BUILD on a list', pickle(ops(']', '}', 'b')), /attributes/],
    ['BUILD of an OrderedDict with a list', pickle(ops('}', ']', 'b')), /attributes/],
    ['a persistent id', pickle(ops(text('x'), 'Q')), /a reference/],
    ['text forms of protocol 0', pickle(ops('I1\n')), /0x49/],
    ['DUP bomb', pickle(ops(']', ...Array<string>(500).fill('2a'))), /0x32/],
    [
      'more than a million instructions',
      pickle(
        ops(
          ']',
          new Uint8Array(1_000_001).fill(0x30).map((_, i) => (i % 2 ? 0x30 : 0x4e)),
        ),
      ),
      /more than 1000000/,
    ],
    ['no mark', pickle(ops('t')), /misses a mark/],
    ['SETITEMS without a mark', pickle(ops('}', 'u')), /misses a mark/],
    ['a pop through a mark', pickle(ops(int(1), int(2), '(', '0', 't')), /empty stack/],
    ['an empty stack', pickle(), /empty stack/],
    ['a memo that is not set', pickle(ops('h', 9)), /memo 9/],
    ['a key without a value', pickle(ops('}', '(', text('a'), 'u')), /without a value/],
    ['a key that is a list', pickle(ops('}', ']', int(1), 's')), /dict key/],
    ['items of a list', pickle(ops(']', text('a'), int(1), 's')), /no dict/],
    ['an append to a dict', pickle(ops('}', int(1), 'a')), /no list/],
    ['text longer than the file', pickle(ops('X', 0xff, 0xff, 0xff, 0x7f, 'abc')), /cut short/],
    ['text of 2^64 bytes', pickle(ops(0x8d, 255, 255, 255, 255, 255, 255, 255, 255)), /cut short/],
    ['text that is no UTF-8', pickle(ops('X', 1, 0, 0, 0, 0xff)), /UTF-8/],
    ['an integer of 200 bytes', pickle(ops(0x8a, 200, new Uint8Array(200))), /200 bytes/],
    ['no end', ops(0x80, 2, 'N'), /cut short/],
    ['a second pickle behind', ops(pickle(int(1)), pickle(int(2))), /goes on/],
    ['values left over', pickle(int(1), int(2)), /left over/],
    ['protocol 0', ops(0x80, 0, 'N.'), /protocol 0/],
    ['protocol 77', ops(0x80, 77, 'N.'), /protocol 77/],
    ['a global without an end', ops(0x80, 2, 'c', new Uint8Array(5000).fill(0x61)), /without an end/],
    ['a numpy object', pickle(scalar('O8', '|', 'abcdefgh')), /numpy dtype/],
    ['a numpy scalar of wrong size', pickle(scalar('f8', '<', 'abc')), /3 bytes/],
    [
      'an encoded megabyte',
      pickle(ops('c_codecs\nencode\n', tuple(text('a'.repeat(1e6)), text('latin1')), 'R')),
      /spelling/,
    ],
  ])('%s', (_, data, fact) => {
    refused(data, fact);
  });

  it('says what and where, and that nothing was run', () => {
    const error = refused(pickle(ops('N0'), system), /its pickle holds the global "os\.system"/);
    expect(error.offset).toBe(1000 + 4);
    expect(error.message).toMatch(/Nothing was run/);
  });

  it('stands a memo bomb: doubling lists stay shared', () => {
    const doubling = Array.from({ length: 200 }, (_, i) => ops(']', 'q', i + 1, 'h', i, 'a', 'h', i, 'a'));
    const before = process.memoryUsage().heapUsed;
    const top = read(pickle(ops(']', 'q', 0, ...doubling, '0'.repeat(200))));
    expect(top).toBeInstanceOf(PickleList);
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(32e6);
  });
});

it('any bytes give a value or a BadFileError, quickly', () => {
  const seed = pickle(
    dict({
      state: ops('ccollections\nOrderedDict\n', ')R'),
      auc: scalar('f8', '<', 'abcdefgh'),
      list: tuple(int(1), long(5n)),
    }),
  );
  const instruction = fc.constantFrom(
    ...Array.from('(.0NKMJXCGtl]}aeusdRbQqhrjc)', (c) => c.charCodeAt(0)),
    0x81,
    0x85,
    0x86,
    0x87,
    0x88,
    0x8a,
    0x8c,
    0x93,
    0x94,
    0x95,
  );
  const random = fc
    .array(fc.oneof(instruction, fc.nat(255)), { maxLength: 200 })
    .map((list) => ops(0x80, 2, ...list, '.'));
  const mutated = fc
    .array(fc.tuple(fc.nat(seed.length - 1), fc.oneof(instruction, fc.nat(255))), {
      minLength: 1,
      maxLength: 5,
    })
    .map((changes) => {
      const copy = seed.slice();
      for (const [at, value] of changes) copy[at] = value;
      return copy;
    });
  fc.assert(
    fc.property(fc.oneof(random, mutated), (data) => {
      const start = performance.now();
      try {
        read(data);
      } catch (error) {
        expect(error).toBeInstanceOf(BadFileError);
      }
      // Against hanging; a busy machine may take its time.
      expect(performance.now() - start).toBeLessThan(20_000);
    }),
    { numRuns: 5000 },
  );
});
