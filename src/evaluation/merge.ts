/** Joins shards of one evaluation: exactly what one run over all images would have given. */
import { OptionError } from '../runtime/errors';
import type { RawHeader, RawResults } from './raw-results';

/**
 * @param parts shards, in any order. Their files must stay open while the result is used.
 * @throws OptionError when they are not of one evaluation, overlap, or images are missing (naming which shards are there).
 */
export function mergeResults(parts: readonly (RawResults & { readonly label: string })[]): RawResults {
  const [first, ...others] = parts;
  if (!first) throw new OptionError('There are no results to merge.', 'Give the folders of the shards.');
  for (const other of others) checkSame(first, other);
  const owner = new Map<number, (typeof parts)[number]>();
  for (const part of parts) {
    for (const { index, name } of part.outcomes) {
      const twice = owner.get(index);
      if (twice) {
        throw new OptionError(
          `${name} is in ${twice.label} and in ${part.label}.`,
          'Give each shard once: shards of one evaluation share no image.',
        );
      }
      owner.set(index, part);
    }
  }
  const { n } = first.header;
  if (owner.size !== n) {
    throw new OptionError(
      `${n - owner.size} of ${n} images are missing in ${parts.map((part) => part.label).join(', ')}.`,
      'Give all shards, each run to its end; the command that made a shard goes on where it stopped.',
    );
  }
  return {
    header: first.header,
    outcomes: parts.flatMap((part) => part.outcomes).sort((a, b) => a.index - b.index),
    versions: joinVersions(parts.map((part) => part.versions)),
    commands: [...new Set(parts.flatMap((part) => part.commands))],
    maps: (index) => owner.get(index)!.maps(index),
  };
}

function checkSame(
  a: RawResults & { readonly label: string },
  b: RawResults & { readonly label: string },
): void {
  const difference = headerDifference(a.header, b.header);
  if (difference === undefined) return;
  throw new OptionError(
    `${a.label} and ${b.label} are not of one evaluation: ${difference}.`,
    'Make all shards with the same options, data, weights and model.',
  );
}

/** The first thing in which two headers differ, in words. */
export function headerDifference(a: RawHeader, b: RawHeader): string | undefined {
  const flat = ({ configuration, ...rest }: RawHeader) =>
    new Map(Object.entries({ ...rest, ...configuration }));
  const [left, right] = [flat(a), flat(b)];
  for (const key of new Set([...left.keys(), ...right.keys()])) {
    if (left.get(key) === right.get(key)) continue;
    if (key === 'images') return 'the lists of images differ';
    return `${key} is ${left.get(key) ?? 'not given'} in one and ${right.get(key) ?? 'not given'} in the other`;
  }
  return undefined;
}

const SEPARATOR = '; ';

/** Several runs' versions: values that differ stand beside each other. */
export function joinVersions(runs: readonly RawResults['versions'][]): Record<string, string> {
  const joined: Record<string, string> = {};
  for (const key of new Set(runs.flatMap(Object.keys))) {
    const values = new Set(runs.flatMap((versions) => versions[key]?.split(SEPARATOR) ?? []));
    joined[key] = [...values].join(SEPARATOR);
  }
  return joined;
}
