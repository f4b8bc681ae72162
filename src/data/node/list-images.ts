/** Turns what stands on a command line, files, folders and globs, into a list of image files. Node only. */
import { type Stats, statSync } from 'node:fs';
import { isAbsolute, join, normalize } from 'node:path';
import { glob, isDynamicPattern } from 'tinyglobby';
import { OptionError } from '../../runtime/errors';
import { sniffFormat } from '../formats/sniff';
import { firstBytes } from './first-bytes';

/** Endings that a folder is searched for; a file named outright may have any. */
export const ENDINGS = 'png,jpg,jpeg,webp,tif,tiff,bmp,dcm,dicom,ima,nii,nii.gz';

/** What earlier runs wrote beside the images. */
export const isHeatmap = (path: string) => /\.(heatmap\.(png|dcm)|map\.nii\.gz)$/i.test(path);

/**
 * @param inputs paths or glob patterns. A file is taken as it is, a folder is searched to any depth for image endings
 * (hidden files, `anomaly_mask` folders, where data sets keep their ground truth, and heatmaps of earlier runs are left
 * out), anything else is a pattern, which meets heatmaps only if it names them.
 * @returns paths, each once, sorted by code point so that runs are repeatable.
 * @throws OptionError naming the first input that matches nothing or cannot be looked at.
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
  const stat = look(input);
  if (stat?.isFile()) return [input];
  if (stat?.isDirectory()) {
    const images = await glob(`**/*.{${ENDINGS}}`, {
      cwd: input,
      caseSensitiveMatch: false,
      ignore: ['**/anomaly_mask/**'],
    });
    images.push(...(await namelessDicom(input)));
    const inside = images.filter((path) => !isHeatmap(path));
    if (inside.length === 0) {
      throw new OptionError(
        `${input}: the folder holds no image.`,
        `Looked for ${ENDINGS.replaceAll(',', ', ')}.`,
      );
    }
    return inside.map((path) => join(input, path));
  }
  const pattern = globPattern(input);
  if (!isDynamicPattern(pattern))
    throw new OptionError(`${input}: there is no such file or folder.`, 'Check the path.');
  // Relative patterns give relative paths, absolute ones absolute paths.
  const all = await glob(pattern, { absolute: isAbsolute(input) });
  const matches = /\.heatmap\b/i.test(pattern) ? all : all.filter((path) => !isHeatmap(path));
  if (matches.length === 0)
    throw new OptionError(`${input}: the pattern matches no file.`, 'Check it, and quote it.');
  return matches;
}

/** Scanners name files "IM0001" or by a UID: those without an ending are looked into. */
async function namelessDicom(folder: string): Promise<string[]> {
  const all = await glob('**/*', { cwd: folder, ignore: ['**/anomaly_mask/**', '**/DICOMDIR'] });
  const found: string[] = [];
  for (const path of all) {
    if (/\.[^.\\/]*[^.\\/\d][^.\\/]*$/.test(path)) continue;
    if (sniffFormat(await firstBytes(join(folder, path), 132)) === 'dicom') found.push(path);
  }
  return found;
}

/** Patterns are written with slashes; on Windows a backslash stands between folders and escapes nothing. */
export function globPattern(input: string, platform: string = process.platform): string {
  return platform === 'win32' ? input.replaceAll('\\', '/') : input;
}

/** What lies at a path, if anything does. */
function look(input: string): Stats | undefined {
  try {
    return statSync(input);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    // A pattern may be longer than a path.
    if (code === 'ENAMETOOLONG' && isDynamicPattern(globPattern(input))) return undefined;
    throw new OptionError(`${input}: it cannot be read (${code}).`, 'Check the path and its permissions.');
  }
}
