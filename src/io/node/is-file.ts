import { stat } from 'node:fs/promises';

/** Whether a file, or a link to one, lies at a path that can be looked at. Node only. */
export async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isFile() === true;
}
