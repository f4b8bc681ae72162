/** Comma-separated values, strictly as RFC 4180 has them: what could be read in two ways is refused, and not written. */
import { OptionError } from '../runtime/errors';

export interface CsvRow {
  readonly fields: readonly string[];
  /** Where it begins, from 1. */
  readonly line: number;
}

/**
 * @param text records of comma-separated fields; lines end in LF or CRLF, blank ones are skipped, and a byte order mark
 * too. Fields in double quotes may hold commas, line ends and doubled quotes. White space is part of a field.
 * @param name what messages call the file.
 * @throws OptionError naming file and line, never the text: it may be a patient's.
 */
export function parseCsv(text: string, name: string): CsvRow[] {
  const rows: CsvRow[] = [];
  let at = text.startsWith('\ufeff') ? 1 : 0;
  let line = 1;
  const refuse = (what: string) =>
    new OptionError(
      `${name}, line ${line}: ${what}.`,
      'Write it as RFC 4180 has it: a "b" becomes "a ""b""".',
    );
  // Searched, not matched: a field of millions of characters would overflow a regular expression's stack.
  const delimiter = /[",\r\n]/g;
  const plainField = () => {
    delimiter.lastIndex = at;
    const end = delimiter.exec(text)?.index ?? text.length;
    return text.slice(at, end);
  };
  const quotedField = () => {
    let end = at + 1;
    for (; ; end += 2) {
      end = text.indexOf('"', end);
      if (end < 0) throw refuse('a quote is not closed');
      if (text[end + 1] !== '"') return text.slice(at, end + 1);
    }
  };
  while (at < text.length) {
    const row = { fields: [] as string[], line };
    let more = true;
    while (more) {
      const isQuoted = text[at] === '"';
      const written = isQuoted ? quotedField() : plainField();
      at += written.length;
      row.fields.push(isQuoted ? written.slice(1, -1).replaceAll('""', '"') : written);
      for (let i = written.indexOf('\n'); i >= 0; i = written.indexOf('\n', i + 1)) line++;
      more = text[at] === ',';
      if (more) at++;
    }
    if (text.startsWith('\r\n', at)) at += 2;
    else if (text[at] === '\n') at++;
    else if (at < text.length) {
      throw refuse(
        text[at] === '\r'
          ? 'a carriage return stands alone'
          : 'a quote stands inside a field, or text after one',
      );
    }
    line++;
    if (row.fields.length > 1 || row.fields[0] !== '') rows.push(row);
  }
  return rows;
}

/** What a spreadsheet takes for the beginning of a formula, full-width forms too. */
const FORMULA = /^[=+\-@\t\r\n\uff0b\uff0d\uff1d\uff20]/;

/**
 * One record with its line end (CRLF). Text is quoted where it must be; where it begins like a formula, an apostrophe comes first, so
 * that no spreadsheet runs a file's name. Numbers stand as they are, null is an empty field.
 */
export function csvRow(fields: readonly (string | number | boolean | null)[]): string {
  return `${fields.map(csvField).join(',')}\r\n`;
}

function csvField(value: string | number | boolean | null): string {
  if (value === null) return '';
  if (typeof value !== 'string') return String(value);
  const safe = FORMULA.test(value) ? `'${value}` : value;
  // An only field that is empty would be a blank line, which readers skip.
  return safe === '' || /[",\r\n]|^\s|\s$/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
