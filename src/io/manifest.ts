/** The checkpoints that `weights pull` knows, from weights/manifest.json. */
import manifest from '../../weights/manifest.json';
import { BadFileError, OptionError } from '../runtime/errors';

export interface WeightsEntry {
  /** What people type. */
  readonly name: string;
  /** The file's name on disk, and on a mirror. */
  readonly file: string;
  /** Where it comes from; none for what ships with the package. */
  readonly url?: string;
  readonly bytes?: number;
  /** Of the whole file, lower-case hex. */
  readonly sha256?: string;
  readonly licence: string;
  /** Who made it, in words. */
  readonly source: string;
}

/** @param label names the file in messages. @throws BadFileError unless it is a manifest of version 1. */
export function parseManifest(json: unknown, label: string): readonly WeightsEntry[] {
  const fail = (fact: string): never => {
    throw new BadFileError(label, fact, 'Install the package again.');
  };
  const isRecord = (value: unknown): value is Record<string, unknown> =>
    typeof value === 'object' && value !== null && !Array.isArray(value);
  if (!isRecord(json) || json.version !== 1 || !Array.isArray(json.weights))
    return fail('it is no manifest of version 1');
  const names = new Set<string>();
  return json.weights.map((entry: unknown, i) => {
    if (!isRecord(entry)) return fail(`its entry ${i} is no object`);
    const { name, file, url, bytes, sha256, licence, source } = entry;
    const texts = [name, file, licence, source].every((value) => typeof value === 'string' && value !== '');
    if (!texts) return fail(`its entry ${i} has no name, file, licence or source`);
    // The file's name becomes a path in the cache.
    if (!/^\w[\w.-]*$/.test(file as string)) return fail(`its entry ${i} has an unsafe file name`);
    if (url !== undefined && !(typeof url === 'string' && /^https?:\/\//.test(url)))
      return fail(`its entry ${i} has a url that is none`);
    if (bytes !== undefined && !(Number.isSafeInteger(bytes) && (bytes as number) > 0))
      return fail(`its entry ${i} has an impossible size`);
    if (sha256 !== undefined && !(typeof sha256 === 'string' && /^[0-9a-f]{64}$/.test(sha256)))
      return fail(`its entry ${i} has a sha256 that is none`);
    if (names.has(name as string)) return fail(`it has two entries ${name}`);
    names.add(name as string);
    return entry as unknown as WeightsEntry;
  });
}

export const KNOWN_WEIGHTS: readonly WeightsEntry[] = parseManifest(manifest, 'weights/manifest.json');

/** The entry of this name, upper and lower case alike; "/" and "@" as OpenAI writes them count as "-". @throws OptionError */
export function findWeights(name: string): WeightsEntry {
  const plain = (text: string) => text.toLowerCase().replaceAll(/[/@]/g, '-');
  const entry = KNOWN_WEIGHTS.find((known) => plain(known.name) === plain(name));
  if (!entry) {
    const known = KNOWN_WEIGHTS.map((each) => each.name).join(', ');
    throw new OptionError(`There are no known weights ${JSON.stringify(name)}.`, `There are: ${known}.`);
  }
  return entry;
}
