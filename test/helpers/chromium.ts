/** Finds a Chromium to test in: CHROME_PATH, else the one in the npm package @sparticuz/chromium, else an installed one. */
import { spawn } from 'node:child_process';
import { createReadStream, createWriteStream, existsSync, readFileSync, statSync } from 'node:fs';
import { chmod, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { brotliDecompressSync, createBrotliDecompress } from 'node:zlib';
import { defaultCacheFolder, findSwiftShaderArchive } from '../../src/platform/node/bundled-swiftshader';
import { readFlatTar } from '../../src/platform/node/untar';

export interface Chromium {
  readonly path: string;
  readonly env: Readonly<Record<string, string>>;
  readonly why: string;
}

export async function findChromium(): Promise<Chromium | { skip: string }> {
  const named = process.env.CHROME_PATH;
  if (named) return { path: named, env: {}, why: 'named by CHROME_PATH' };
  const archive = findSwiftShaderArchive();
  if (archive && process.platform === 'linux' && process.arch === 'x64') {
    return unpackChromium(dirname(archive));
  }
  const installed = installedBrowsers().find((path) => existsSync(path));
  if (installed) return { path: installed, env: {}, why: 'installed on this system' };
  return { skip: 'no Chromium: install Chrome, Chromium or Edge, or name one in CHROME_PATH' };
}

/** The headless Chromium out of npm with its few shared libraries and SwiftShader, unpacked once into the cache folder. */
async function unpackChromium(bin: string): Promise<Chromium> {
  const cache = defaultCacheFolder();
  // Size and time of the archive stand for its content: hashing 64 MB at every test would not make it safer.
  const { size, mtimeMs } = statSync(join(bin, 'chromium.br'));
  const folder = join(cache, `chromium-${size}-${Math.trunc(mtimeMs)}`);
  if (!existsSync(folder)) {
    const fresh = await mkdtemp(`${folder}.new-`);
    try {
      const executable = join(fresh, 'chromium');
      await pipeline(
        createReadStream(join(bin, 'chromium.br')),
        createBrotliDecompress(),
        createWriteStream(executable),
      );
      await chmod(executable, 0o700);
      for (const { name, bytes } of readFlatTar(
        brotliDecompressSync(readFileSync(join(bin, 'swiftshader.tar.br'))),
      )) {
        await writeFile(join(fresh, name), bytes);
      }
      await untar(brotliDecompressSync(readFileSync(join(bin, 'al2023.tar.br'))), fresh);
      // Another test process may have been faster; its copy is as good.
      await rename(fresh, folder).catch((error: unknown) => {
        if (!existsSync(folder)) throw error;
      });
    } finally {
      await rm(fresh, { recursive: true, force: true });
    }
  }
  return {
    path: join(folder, 'chromium'),
    env: { LD_LIBRARY_PATH: join(folder, 'lib') },
    why: 'from npm (@sparticuz/chromium)',
  };
}

/** These libraries lie in a subfolder, and so outside what readFlatTar takes; every Linux has tar. */
function untar(archive: Uint8Array, into: string): Promise<void> {
  return new Promise((done, fail) => {
    const tar = spawn('tar', ['-x', '-f', '-', '--no-same-owner', '-C', into], {
      stdio: ['pipe', 'ignore', 'inherit'],
    });
    tar.once('error', fail);
    tar.once('close', (code) => (code === 0 ? done() : fail(new Error(`tar ended with ${code}`))));
    tar.stdin.once('error', fail);
    tar.stdin.end(archive);
  });
}

function installedBrowsers(): string[] {
  if (process.platform === 'darwin') {
    return ['Google Chrome', 'Chromium', 'Microsoft Edge'].map(
      (name) => `/Applications/${name}.app/Contents/MacOS/${name}`,
    );
  }
  if (process.platform === 'win32') {
    const { PROGRAMFILES = '', 'PROGRAMFILES(X86)': x86 = '', LOCALAPPDATA = '' } = process.env;
    const programs = ['Google\\Chrome\\Application\\chrome.exe', 'Microsoft\\Edge\\Application\\msedge.exe'];
    return [PROGRAMFILES, x86, LOCALAPPDATA].flatMap((base) =>
      programs.map((program) => join(base, program)),
    );
  }
  const names = ['google-chrome', 'google-chrome-stable', 'chromium', 'chromium-browser', 'microsoft-edge'];
  const folders = (process.env.PATH ?? '').split(':').concat('/usr/bin', '/snap/bin').filter(Boolean);
  return names.flatMap((name) => folders.map((folder) => join(folder, name)));
}
