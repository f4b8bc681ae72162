/**
 * SwiftShader (a Vulkan driver that computes on the CPU) out of the npm package `@sparticuz/chromium`, with its own Vulkan
 * loader: machines with no GPU and no Vulkan at all can still compute. Unpacked once into the user's cache folder.
 */
import { createHash, randomBytes } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { homedir, tmpdir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';
import { brotliDecompressSync } from 'node:zlib';
import { readFlatTar } from './untar';

/** Absolute paths of an unpacked and verified SwiftShader. */
export interface SwiftShaderFiles {
  readonly folder: string;
  /** The Vulkan loader that comes with it. */
  readonly loader: string;
  /** What VK_DRIVER_FILES must name. */
  readonly driverJson: string;
}

const LOADER = 'libvulkan.so.1';
const DRIVER_JSON = 'vk_swiftshader_icd.json';
const WANTED = [LOADER, DRIVER_JSON, 'libvk_swiftshader.so'];
const MANIFEST = 'manifest.json';
const MAX_UNPACKED_BYTES = 256 * 1024 * 1024;

/** The archive inside the installed package, or undefined where the optional dependency is not installed. */
export function findSwiftShaderArchive(from: string = import.meta.url): string | undefined {
  let folder: string;
  try {
    folder = dirname(createRequire(from).resolve('@sparticuz/chromium'));
  } catch {
    return undefined;
  }
  // The package's exports hide bin/, its entry point does not: climb from there to the package's root.
  while (!existsSync(join(folder, 'package.json')) || !existsSync(join(folder, 'bin'))) {
    const parent = dirname(folder);
    if (parent === folder) return undefined;
    folder = parent;
  }
  const archive = join(folder, 'bin', 'swiftshader.tar.br');
  return existsSync(archive) ? archive : undefined;
}

/**
 * Unpacks `archive` under `cache` unless a whole copy lies there already. Every call checks size and SHA-256 of each file
 * and that nobody else may write to the folder: these files are about to be loaded as code. Damaged copies are replaced.
 */
export function unpackSwiftShader(archive: string, cache: string = defaultCacheFolder()): SwiftShaderFiles {
  const packed = readFileSync(archive);
  const folder = join(cache, `swiftshader-${sha256(packed).slice(0, 16)}`);
  if (isWhole(folder)) return filesIn(folder);

  const unpacked = brotliDecompressSync(packed, { maxOutputLength: MAX_UNPACKED_BYTES });
  const files = new Map(readFlatTar(unpacked).map((file) => [file.name, file.bytes]));
  mkdirSync(cache, { recursive: true, mode: 0o700 });
  const fresh = mkdtempSync(`${folder}.new-`);
  try {
    const manifest: Manifest = {};
    for (const name of WANTED) {
      const bytes = files.get(name);
      if (!bytes) throw new Error(`${archive} holds no ${name}`);
      writeFileSync(join(fresh, name), bytes, { mode: 0o600, flush: true });
      manifest[name] = { bytes: bytes.length, sha256: sha256(bytes) };
    }
    writeFileSync(join(fresh, MANIFEST), JSON.stringify(manifest), { mode: 0o600, flush: true });
    chmodSync(fresh, 0o700);
    putInPlace(fresh, folder);
    sweepLeftovers(cache);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
  return filesIn(folder);
}

/** A per-user folder that only this user can write to. */
export function defaultCacheFolder(env: NodeJS.ProcessEnv = process.env): string {
  const xdg = env.XDG_CACHE_HOME;
  const base = xdg && isAbsolute(xdg) ? xdg : join(homedir(), '.cache');
  const folder = join(base, 'mla-lp');
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    rmSync(mkdtempSync(join(folder, 'probe-')), { recursive: true });
    return folder;
  } catch {
    // No writable home (a service account, a read-only container): unpackSwiftShader checks who owns what it finds here.
    const shared = join(tmpdir(), `mla-lp-${process.getuid?.() ?? 'user'}`);
    mkdirSync(shared, { recursive: true, mode: 0o700 });
    if (!isPrivate(shared)) throw new Error(`${shared} belongs to somebody else`);
    return shared;
  }
}

type Manifest = Record<string, { bytes: number; sha256: string }>;

function isWhole(folder: string): boolean {
  try {
    if (!isPrivate(folder)) return false;
    const manifest = JSON.parse(readFileSync(join(folder, MANIFEST), 'utf8')) as Manifest;
    return WANTED.every((name) => {
      const path = join(folder, name);
      const expected = manifest[name];
      // lstat: a link put in a file's place is damage, too.
      const found = lstatSync(path);
      return (
        expected !== undefined &&
        found.isFile() &&
        found.size === expected.bytes &&
        sha256(readFileSync(path)) === expected.sha256
      );
    });
  } catch {
    return false;
  }
}

/** A real folder, ours, that neither group nor others may write to. */
function isPrivate(folder: string): boolean {
  const found = lstatSync(folder);
  return found.isDirectory() && found.uid === process.getuid?.() && (found.mode & 0o022) === 0;
}

/** Renames `fresh` to `folder`. Another process may do the same at this moment: whoever comes second takes the first's. */
function putInPlace(fresh: string, folder: string): void {
  for (let attempt = 0; ; attempt++) {
    try {
      renameSync(fresh, folder);
      return;
    } catch (cause) {
      if (isWhole(folder)) return;
      if (attempt === 3) throw cause;
      // Moved aside, not deleted in place: a process that has the old files loaded keeps them.
      const aside = `${folder}.old-${randomBytes(4).toString('hex')}`;
      try {
        renameSync(folder, aside);
        rmSync(aside, { recursive: true, force: true });
      } catch {
        // Somebody else moved it first.
      }
    }
  }
}

function filesIn(folder: string): SwiftShaderFiles {
  return { folder, loader: join(folder, LOADER), driverJson: join(folder, DRIVER_JSON) };
}

/** Removes what a killed process left behind while unpacking; an hour is far longer than unpacking takes. */
function sweepLeftovers(cache: string): void {
  for (const name of readdirSync(cache)) {
    if (!/^(swiftshader-[0-9a-f]{16}\.(new|old)-|probe-)/.test(name)) continue;
    const path = join(cache, name);
    if (Date.now() - lstatSync(path).mtimeMs > 3_600_000) rmSync(path, { recursive: true, force: true });
  }
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
