/** Turns what stands on a command line, files, folders and globs, into a list of image files. Node only. */
import { statSync } from 'node:fs';
import { isAbsolute, join, normalize } from 'node:path';
import { glob, isDynamicPattern } from 'tinyglobby';
import { OptionError } from '../../runtime/errors';

/** Endings that a folder is searched for; a file named outright may have any. */
const ENDINGS = 'png,jpg,jpeg,webp,tif,tiff,bmp';

/**
 * @param inputs paths or glob patterns. A file is taken as it is, a folder is searched to any depth for image endings
 * (hidden files and `anomaly_mask` folders, where data sets keep their ground truth, are left out), anything else is a
 * pattern.
 * @returns paths, each once, sorted by code point so that runs are repeatable.
 * @throws OptionError naming the first input that matches nothing.
 */
export async function listImages(inputs: readonly string[]): Promise<string[]> {
  if (inputs.length === 0) throw new OptionError('No images were given.', 'Name files, folders or patterns.');
  const found = new Set<string>();
  for (const input of inputs) {
    const paths = await expand(input);
    for (const path of paths) found.add(normalize(path));
  }
  return [...found].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
}

async function expand(input: string): Promise<string[]> {
  // A file that is called like a pattern ("scan[1].png") is still a file.
  const stat = statSync(input, { throwIfNoEntry: false });
  if (stat?.isFile()) return [input];
  if (stat?.isDirectory()) {
    const inside = await glob(`**/*.{${ENDINGS}}`, {
      cwd: input,
      caseSensitiveMatch: false,
      ignore: ['**/anomaly_mask/**'],
    });
    if (inside.length === 0) {
      throw new OptionError(
        `${input}: the folder holds no image.`,
        `Looked for ${ENDINGS.replaceAll(',', ', ')}.`,
      );
    }
    return inside.map((path) => join(input, path));
  }
  if (!isDynamicPattern(input))
    throw new OptionError(`${input}: there is no such file or folder.`, 'Check the path.');
  // Relative patterns give relative paths, absolute ones absolute paths.
  const matches = await glob(input, { absolute: isAbsolute(input) });
  if (matches.length === 0)
    throw new OptionError(`${input}: the pattern matches no file.`, 'Check it, and quote it.');
  return matches;
}
