import { readFile } from 'node:fs/promises';
import { parseShotList, type Shots } from '../data/shot-list';
import { OptionError } from '../runtime/errors';

/** One draw of a published list of shots. @throws OptionError */
export async function readShotList(path: string, draw: number): Promise<Shots> {
  const text = await readFile(path, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    throw new OptionError(`${path}: it cannot be read (${cause.code}).`, 'Check the path.');
  });
  return parseShotList(text, path, draw);
}
