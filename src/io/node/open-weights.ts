/** What a user types for --weights, and what lies beside weights. */
import { existsSync } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type HeadCounts, headsFromJson } from '../../model/clip-config';
import { OptionError } from '../../runtime/errors';
import { findWeights, KNOWN_WEIGHTS, type WeightsEntry } from '../manifest';
import { weightsCache } from './pull';

const PULL = '`mla-lp weights pull` fetches known weights; synthetic:vitl14 and the like need no file.';

/** What hubs call a checkpoint's main file, best first. */
const USUAL_NAMES = [
  'model.safetensors',
  'model.safetensors.index.json',
  'open_clip_model.safetensors',
  'open_clip_pytorch_model.bin',
  'pytorch_model.bin',
  'pytorch_model.bin.index.json',
];
const SINGLE = [/\.safetensors$/, /\.pth?$/];
/** Names that a generic config.json speaks about. */
const HUB_NAME = /^(open_clip_)?(pytorch_)?model\b/;
/** A name of a file in the cache: it never leaves the folders that are searched. */
const KNOWN_NAME = /^[A-Za-z0-9][A-Za-z0-9._@-]*$/;
const EXTENSIONS = ['.safetensors', '.pt', '.pth', '.bin', ''];
const MAX_SIDECAR = 2 ** 20;

/** The package's own `weights` folder: where its package.json lies, whether this is source or built. */
export function packagedWeightsFolder(): string | undefined {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json')) || !existsSync(join(folder, 'weights'))) {
    const parent = dirname(folder);
    if (parent === folder) return undefined;
    folder = parent;
  }
  return join(folder, 'weights');
}

async function kindOf(path: string): Promise<'file' | 'folder' | undefined> {
  try {
    return (await stat(path)).isDirectory() ? 'folder' : 'file';
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (
      code === 'ENOENT' ||
      code === 'ENOTDIR' ||
      code === 'ENAMETOOLONG' ||
      code === 'ERR_INVALID_ARG_VALUE'
    )
      return undefined;
    // It is there but hidden from us: opening it says why.
    return 'file';
  }
}

/** The weights in a folder, or undefined when there are none. @throws OptionError when there are several. */
async function inFolder(folder: string): Promise<string | undefined> {
  const names = (await readdir(folder)).sort();
  const usual = USUAL_NAMES.find((name) => names.includes(name));
  if (usual) return join(folder, usual);
  for (const pattern of SINGLE) {
    const found = names.filter((name) => pattern.test(name));
    if (found.length > 1) {
      const some = found.slice(0, 5).join(', ') + (found.length > 5 ? ', ...' : '');
      throw new OptionError(`${folder} holds several weights: ${some}.`, 'Give the path of one of them.');
    }
    if (found[0]) return join(folder, found[0]);
  }
  return undefined;
}

function knownEntry(name: string): WeightsEntry | undefined {
  try {
    return findWeights(name);
  } catch {
    return undefined;
  }
}

async function byName(name: string): Promise<string> {
  const entry = knownEntry(name);
  const shipped = packagedWeightsFolder();
  const cache = weightsCache();
  // What lies in the cache without being known is found by its name too.
  const candidates = entry ? [entry.file] : EXTENSIONS.map((extension) => name + extension);
  for (const folder of shipped ? [shipped, cache] : [cache]) {
    for (const candidate of candidates) {
      const path = join(folder, candidate);
      const kind = await kindOf(path);
      if (kind === 'file') return path;
      const inside = kind === 'folder' ? await inFolder(path) : undefined;
      if (inside) return inside;
    }
  }
  if (entry) {
    const remedy = entry.url ? `Fetch it: mla-lp weights pull ${entry.name}` : 'Install the package again.';
    throw new OptionError(`${entry.name} is known, but neither in the package nor in ${cache}.`, remedy);
  }
  throw new OptionError(
    `There is no file, no folder and no known weights called ${name}.`,
    `Known are ${KNOWN_WEIGHTS.map((known) => known.name).join(', ')}. ${PULL}`,
  );
}

/**
 * The path that a user's text for weights means: a file; a folder with weights under a usual name; the name of weights that
 * ship with the package or were pulled into the cache. `synthetic:<model>` is returned as it is.
 * @throws OptionError saying what was looked for.
 */
export async function resolveWeights(text: string): Promise<string> {
  if (text.startsWith('synthetic:')) return text;
  if (/^https?:\/\//i.test(text))
    throw new OptionError(`${text} is a link; weights are read from files.`, `Download it first. ${PULL}`);
  const kind = text === '' ? undefined : await kindOf(text);
  if (kind === 'file') return text;
  if (kind === 'folder') {
    const found = await inFolder(text);
    if (found) return found;
    const looked = [...USUAL_NAMES, 'one *.safetensors', 'one *.pt'].join(', ');
    throw new OptionError(`The folder ${text} holds no weights; looked for ${looked}.`, PULL);
  }
  if (knownEntry(text) || KNOWN_NAME.test(text)) return byName(text);
  throw new OptionError(`There is no file or folder ${text || '""'}.`, `Check the path. ${PULL}`);
}

/**
 * Head counts from the JSON beside weights: `<name>.config.json` for any file; `config.json` (Hugging Face) and
 * `open_clip_config.json` only for files under a hub's usual names, since in other folders they may speak about another model.
 * {} when there is none or it tells none.
 */
export async function sidecarHeads(path: string): Promise<HeadCounts> {
  if (path.startsWith('synthetic:')) return {};
  const file = basename(path);
  const stem = file.replace(/\.(safetensors|bin|pth?)(\.index\.json)?$/, '');
  const names = [`${stem}.config.json`];
  if (HUB_NAME.test(file)) names.push('config.json', 'open_clip_config.json');
  for (const name of names) {
    const heads = await readHeads(join(dirname(path), name));
    if (heads.heads !== undefined || heads.textHeads !== undefined) return heads;
  }
  return {};
}

async function readHeads(path: string): Promise<HeadCounts> {
  try {
    if ((await stat(path)).size > MAX_SIDECAR) return {};
    return headsFromJson(JSON.parse(await readFile(path, 'utf8')));
  } catch {
    // The widths tell the heads of most models; where they do not, the error says which option does.
    return {};
  }
}
