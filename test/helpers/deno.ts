/** Runs scripts in Deno with WebGPU. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { findSwiftShaderArchive, unpackSwiftShader } from '../../src/platform/node/bundled-swiftshader';

export interface DenoResult {
  readonly stdout: string;
  readonly stderr: string;
}

export interface DenoOptions {
  /** Flags before the script; `--allow-all` unless told. */
  readonly permissions?: readonly string[];
  readonly timeoutMs?: number;
  readonly env?: Readonly<Record<string, string>>;
}

/** The Deno binary: DENO_PATH, else the one of the npm package `deno`. Undefined where neither is. */
export function findDeno(): string | undefined {
  if (process.env.DENO_PATH) return process.env.DENO_PATH;
  const require = createRequire(import.meta.url);
  // The launcher of the package copies this binary in an install script, which may not have run.
  const name = `@deno/${process.platform}-${process.arch}${process.platform === 'linux' ? '-glibc' : ''}`;
  try {
    const folder = dirname(
      require.resolve(`${name}/package.json`, { paths: [dirname(require.resolve('deno/package.json'))] }),
    );
    const binary = join(folder, process.platform === 'win32' ? 'deno.exe' : 'deno');
    return existsSync(binary) ? binary : undefined;
  } catch {
    return undefined;
  }
}

/** Why Deno tests cannot run here, or undefined. An error in CI. */
export function denoObstacle(): string | undefined {
  const obstacle = findDeno() ? undefined : 'no Deno: npm install brings it, or name one in DENO_PATH';
  if (obstacle && process.env.CI) throw new Error(obstacle);
  return obstacle;
}

/** Runs a script file to its end. Rejects with its output unless it ends with 0. */
export function runDeno(
  script: string,
  args: readonly string[] = [],
  options: DenoOptions = {},
): Promise<DenoResult> {
  const deno = findDeno();
  if (!deno) throw new Error('there is no Deno');
  const flags = [
    'run',
    '--no-prompt',
    '--no-lock',
    '--unstable-webgpu',
    ...(options.permissions ?? ['--allow-all']),
  ];
  const child = spawn(deno, [...flags, script, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...gpuEnvironment(), DENO_NO_UPDATE_CHECK: '1', NO_COLOR: '1', ...options.env },
    timeout: options.timeoutMs ?? 50_000,
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  return new Promise((done, fail) => {
    child.once('error', fail);
    child.once('close', (code, signal) => {
      if (code === 0) done({ stdout, stderr });
      else fail(new Error(`Deno ended with ${signal ?? code}:\n${stdout}\n${stderr}`));
    });
  });
}

/** On Linux the same SwiftShader as in Node, unless MLA_LP_ADAPTER asks for the system's drivers. */
function gpuEnvironment(): Record<string, string> {
  const wanted = process.env.MLA_LP_ADAPTER ?? 'swiftshader';
  const archive = findSwiftShaderArchive();
  if (process.platform !== 'linux' || process.arch !== 'x64' || !archive || wanted !== 'swiftshader')
    return {};
  const { folder, driverJson } = unpackSwiftShader(archive);
  return {
    LD_LIBRARY_PATH: folder,
    VK_DRIVER_FILES: driverJson,
    VK_ICD_FILENAMES: driverJson,
    // Else Deno may take an OpenGL driver, whose compute is not the same thing.
    DENO_WEBGPU_BACKEND: 'vulkan',
  };
}
