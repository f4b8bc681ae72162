import { describe, expect, test } from 'vitest';
import { specialise } from '../../src/runtime/specialise';

const lines = (text: string) =>
  text
    .split('\n')
    .map((line) => line.trim())
    .filter(Boolean);

describe('constants', () => {
  test('take given values in the literal form of their type, override becoming const', () => {
    const template =
      'const A: u32 = 1u;\noverride B: i32 = 2i;\nconst C: f32 = 0.5f;\nconst D: bool = false;\nconst E: u32 = 9u;';
    const text = specialise('t', template, { constants: { A: 7, B: -3, C: 1e-12, D: true } });
    expect(lines(text)).toEqual([
      'const A: u32 = 7u;',
      'const B: i32 = -3i;',
      'const C: f32 = 9.999999960041972e-13f;',
      'const D: bool = true;',
      'const E: u32 = 9u;',
    ]);
  });

  test('whole f32 values get a decimal point', () => {
    expect(specialise('t', 'const C: f32 = 0.5f;', { constants: { C: 100 } })).toBe('const C: f32 = 100.0f;');
    expect(specialise('t', 'const C: f32 = 0.5f;', { constants: { C: 2 ** 70 } })).toBe(
      'const C: f32 = 1.1805916207174113e+21f;',
    );
  });

  test.each([
    ['A', 1.5],
    ['A', -1],
    ['A', 2 ** 32],
    ['C', Number.NaN],
    ['C', 1e39],
  ])('%s = %s is refused', (id, value) => {
    const template = 'const A: u32 = 1u;\nconst C: f32 = 1.0f;';
    expect(() => specialise('t', template, { constants: { [id]: value } })).toThrow(`${id} = ${value} is no`);
  });

  test('an unknown one is refused, one in a function is left alone', () => {
    expect(() => specialise('t', 'const A: u32 = 1u;', { constants: { B: 1 } })).toThrow(
      't: it has no constant B',
    );
    const local = 'fn f() {\n  const A: u32 = 1u;\n}';
    expect(() => specialise('t', local, { constants: { A: 1 } })).toThrow('no constant A');
  });
});

describe('types', () => {
  test('f16 brings its enable line, once and first', () => {
    expect(specialise('t', 'alias T = f32;', { types: { T: 'f16' } })).toBe('enable f16;\nalias T = f16;');
    expect(specialise('t', 'enable f16;\nalias T = f16;')).toBe('enable f16;\nalias T = f16;');
    expect(specialise('t', 'alias T = f32;', { types: { T: 'f32' } })).toBe('alias T = f32;');
  });

  test('an unknown one is refused', () => {
    expect(() => specialise('t', 'alias T = f32;', { types: { U: 'f32' } })).toThrow('no alias U');
  });
});

describe('blocks', () => {
  const template =
    'a\n// @if X\nx\n  // @if Y\n  xy\n  // @else\n  x!y\n  // @end\n// @else\n!x\n// @if !Y\n!x!y\n// @end\n// @end\nb';
  test.each([
    [[], ['a', '!x', '!x!y', 'b']],
    [['X'], ['a', 'x', 'x!y', 'b']],
    [['Y'], ['a', '!x', 'b']],
    [
      ['X', 'Y'],
      ['a', 'x', 'xy', 'b'],
    ],
  ])('with flags %j', (flags, want) => {
    expect(lines(specialise('t', template, { flags }))).toEqual(want);
  });

  test('unknown flags and unbalanced lines are refused', () => {
    expect(() => specialise('t', 'a', { flags: ['Z'] })).toThrow('no block @if Z');
    expect(() => specialise('t', '// @if A')).toThrow('@if without @end');
    expect(() => specialise('t', '// @end')).toThrow('@end without @if');
    expect(() => specialise('t', '// @else')).toThrow('@else without @if');
  });

  test('what a dropped block declares is not there', () => {
    expect(() => specialise('t', '// @if X\nconst A: u32 = 1u;\n// @end', { constants: { A: 2 } })).toThrow(
      'no constant A',
    );
  });
});

describe('includes', () => {
  test('take the place of their line and are specialised with the rest', () => {
    const text = specialise('t', 'a\n// @include more\nb', {
      includes: { more: 'const N: u32 = 1u;\n// @if X\nx\n// @end' },
      constants: { N: 3 },
      flags: ['X'],
    });
    expect(lines(text)).toEqual(['a', 'const N: u32 = 3u;', 'x', 'b']);
  });

  test('dollar signs in an included text mean nothing', () => {
    expect(specialise('t', '// @include more', { includes: { more: 'a $& $1 b' } })).toBe('a $& $1 b');
  });

  test('missing and unknown ones are refused', () => {
    expect(() => specialise('t', '// @include more')).toThrow('no text for @include more');
    expect(() => specialise('t', 'a', { includes: { more: 'b' } })).toThrow('no line @include more');
  });
});

describe('@unroll', () => {
  test('repeats the body with the counter replaced, as whole words only', () => {
    const text = specialise('t', '// @unroll\nfor (var i = 0u; i < 3u; i++) { s[i] += xi[i]; }');
    expect(lines(text)).toEqual(['{ s[0u] += xi[0u]; }', '{ s[1u] += xi[1u]; }', '{ s[2u] += xi[2u]; }']);
  });

  test('nests, and takes bounds from constants', () => {
    const template = [
      'const M: u32 = 9u;',
      'const N: u32 = 2u;',
      '// @unroll: why',
      'for (var m = 0u; m < M; m++) {',
      '  // @unroll',
      '  for (var n = 1u; n < N; n++) { s[m * N + n] = 0; }',
      '}',
    ].join('\n');
    const text = specialise('t', template, { constants: { M: 2, N: 3 } });
    expect(text.match(/s\[.*?\]/g)).toEqual([
      's[0u * N + 1u]',
      's[0u * N + 2u]',
      's[1u * N + 1u]',
      's[1u * N + 2u]',
    ]);
  });

  test('is left to the compiler where the dispatch says so', () => {
    const template = '// @unroll\nfor (var i = 0u; i < 3u; i++) { s[i] = 0; }';
    expect(specialise('t', template, { unroll: false })).toBe(template);
  });

  test('an empty range leaves nothing', () => {
    expect(lines(specialise('t', 'a\n// @unroll\nfor (var i = 0u; i < 0u; i++) { x }\nb'))).toEqual([
      'a',
      'b',
    ]);
  });

  test('refuses bounds it does not know, loops of another form and ones that do not close', () => {
    expect(() => specialise('t', '// @unroll\nfor (var i = 0u; i < n; i++) { }')).toThrow(
      'n is neither a number',
    );
    expect(() => specialise('t', '// @unroll\nfor (var i = 0u; i < 4u; i += 2u) { }')).toThrow(
      'not followed by a loop',
    );
    expect(() => specialise('t', '// @unroll\nfor (var i = 0u; i < 4u; i++) { {}')).toThrow('does not close');
  });
});
