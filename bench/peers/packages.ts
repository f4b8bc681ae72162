/** The peers' packages: a folder of their own, which nothing else needs. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readdir, readFile, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { MlaLpError } from '../../src/runtime/errors';

export const HOW_TO_INSTALL = 'Install the peers: npm run bench -- peers --install.';

/** bench/peers of the checkout that this file, or the bundle that it is in, belongs to. */
export function peersFolder(): string {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    const peers = join(folder, 'bench', 'peers');
    if (existsSync(join(peers, 'package.json'))) return peers;
    if (dirname(folder) === folder) {
      throw new MlaLpError('bad-option', 'The folder bench/peers is not there.', 'Run it in a checkout.');
    }
  }
}

const require = () => createRequire(join(peersFolder(), 'package.json'));

export function isInstalled(name: string): boolean {
  return existsSync(join(peersFolder(), 'node_modules', name, 'package.json'));
}

/** The installed version. */
export async function versionOf(name: string): Promise<string> {
  const text = await readFile(join(peersFolder(), 'node_modules', name, 'package.json'), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

/** Loads a CommonJS package; callers say what they use of it. */
export function requirePeer<T>(name: string): T {
  return require()(name) as T;
}

/** Loads an ES module package by its entry file. */
export async function importPeer<T>(name: string, entry: string): Promise<T> {
  const path = join(peersFolder(), 'node_modules', name, entry);
  return (await import(pathToFileURL(path).href)) as T;
}

/** Exact versions out of bench/peers/package.json; no script of any package runs. */
export async function installPeers(): Promise<void> {
  const args = ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--no-package-lock'];
  const options = { cwd: peersFolder(), shell: process.platform === 'win32' };
  await promisify(execFile)('npm', args, options).catch((cause: { stderr?: string }) => {
    const why = cause.stderr?.trim().split('\n').slice(-3).join(' ') || String(cause);
    const fact = `The peers could not be installed: ${why}.`;
    throw new MlaLpError('network', fact, 'Try it in bench/peers by hand.', { cause });
  });
  await dropOtherPlatforms();
}

/** ONNX Runtime carries libraries for several platforms, bin/<napi>/<platform>/<arch>: all but this one's go, some 250 MB. */
async function dropOtherPlatforms(): Promise<void> {
  const bin = join(peersFolder(), 'node_modules', 'onnxruntime-node', 'bin');
  const names = (folder: string) => readdir(folder).catch(() => []);
  for (const napi of await names(bin))
    for (const platform of await names(join(bin, napi)))
      for (const arch of await names(join(bin, napi, platform)))
        if (platform !== process.platform || arch !== process.arch)
          await rm(join(bin, napi, platform, arch), { recursive: true, force: true });
}
