import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseCsv } from '../../src/data/csv';
import { OptionError } from '../../src/runtime/errors';

const fields = (text: string) => parseCsv(text, 'x.csv').map((row) => row.fields);

test('quotes, doubled quotes, line ends and commas inside them, empty fields', () => {
  expect(fields('a,"b,""c""\r\nd",\r\n"",e,f')).toEqual([
    ['a', 'b,"c"\r\nd', ''],
    ['', 'e', 'f'],
  ]);
  expect(fields('a,b,')).toEqual([['a', 'b', '']]);
  expect(fields('\ufeff\n\na\n')).toEqual([['a']]);
  expect(fields('')).toEqual([]);
});

test('lines are counted through quoted line ends and blank lines', () => {
  expect(parseCsv('a,"1\n2\n3"\n\nb,c\nd,e', 'x').map(({ line }) => line)).toEqual([1, 5, 6]);
});

test.each([
  ['a\n"b', 'line 2: a quote is not closed'],
  ['a\n"b""', 'line 2: a quote is not closed'],
  ['"a"b', 'line 1: a quote stands inside a field, or text after one'],
  ['a "b"', 'line 1: a quote stands inside a field'],
  ['a\rb', 'line 1: a carriage return stands alone'],
])('%j is refused', (text, fact) => {
  expect(() => parseCsv(text, 'x.csv')).toThrow(OptionError);
  expect(() => parseCsv(text, 'x.csv')).toThrow(`x.csv, ${fact}`);
});

// Two fields a row: a row of one empty field is a blank line.
const tables = fc.array(
  fc.array(fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom('"', ',', '\n', '\r', 'a', ' ') })), {
    minLength: 2,
    maxLength: 4,
  }),
);

test('what is written comes back', () => {
  const write = (value: string, always: boolean) =>
    always || /[",\r\n\ufeff]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value;
  fc.assert(
    fc.property(
      tables,
      fc.boolean(),
      fc.constantFrom('\n', '\r\n'),
      fc.boolean(),
      (rows, quote, end, last) => {
        const text = rows.map((row) => row.map((value) => write(value, quote)).join(',')).join(end);
        expect(fields(last ? text + end : text)).toEqual(rows);
      },
    ),
  );
});

test('any text is read or refused', () => {
  const anything = fc.string({ unit: fc.constantFrom('"', ',', '\n', '\r', 'a') });
  fc.assert(
    fc.property(anything, (text) => {
      try {
        for (const row of fields(text)) expect(row.length).toBeGreaterThan(0);
      } catch (error) {
        expect(error).toBeInstanceOf(OptionError);
      }
    }),
  );
});

test('a field of ten million characters', () => {
  const long = 'a'.repeat(1e7);
  const parsed = fields(`"${long}""",${long}`)[0]!;
  expect(parsed.map((field) => field.length)).toEqual([1e7 + 1, 1e7]);
});
