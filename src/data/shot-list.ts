/**
 * Lists of the images that few-shot training uses, as published beside MVFA-AD: a text file for each number of shots with
 * lines "n-0: file file ..." (normal) and "a-0: file file ..." (abnormal); the number counts draws.
 */
import { OptionError } from '../runtime/errors';

/** One draw of a list. Entries are file names with or without ending, or paths. */
export interface Shots {
  /** The list's, for messages. */
  readonly name: string;
  readonly normal: readonly string[];
  readonly abnormal: readonly string[];
}

const REMEDY =
  'A list has lines "n-0: file file ..." for normal and "a-0: file file ..." for abnormal images; the number counts draws.';

/**
 * @param text the list. Entries are separated by white space or, where a line has a comma, by commas alone, so that names
 * may hold spaces. @param name what messages call it. @param draw which of its draws.
 * @throws OptionError naming list and line when it is not such a list, or lacks one of the draw's two lines.
 */
export function parseShotList(text: string, name: string, draw = 0): Shots {
  const lines = new Map<string, string[]>();
  for (const [index, line] of text
    .replace(/^\ufeff/, '')
    .split(/\r\n?|\n/)
    .entries()) {
    if (line.trim() === '') continue;
    // White space takes in a byte order mark.
    const match = /^\s*([na])-(\d{1,9})\s*:(.*)$/i.exec(line);
    // The line itself stays out of the message: the file may be something else altogether.
    if (!match)
      throw new OptionError(`${name}, line ${index + 1}: this is not a line of a shot list.`, REMEDY);
    const key = `${match[1]!.toLowerCase()}-${Number(match[2])}`;
    if (lines.has(key))
      throw new OptionError(`${name}, line ${index + 1}: there is a line ${key} already.`, REMEDY);
    const rest = match[3]!;
    const entries = rest.split(rest.includes(',') ? ',' : /\s+/).map((entry) => entry.trim());
    lines.set(
      key,
      entries.filter((entry) => entry !== ''),
    );
  }
  const take = (kind: 'n' | 'a') => {
    const entries = lines.get(`${kind}-${draw}`);
    if (entries?.length) return entries;
    const fact = entries ? `its line ${kind}-${draw} names no file` : `it has no line ${kind}-${draw}`;
    throw new OptionError(
      `${name}: ${fact}. It has ${[...lines.keys()].join(', ') || 'no line at all'}.`,
      REMEDY,
    );
  };
  return { name, normal: take('n'), abnormal: take('a') };
}
