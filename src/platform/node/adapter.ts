import { constants } from 'node:os';
import type { AcquireAdapter, AdapterChoice, AdapterPreference } from '../../runtime/adapter';
import { findSwiftShaderArchive, unpackSwiftShader } from './bundled-swiftshader';
import { type AdapterWorld, chooseAdapter } from './choose-adapter';

// f16 on NVIDIA and subgroup matrices sit behind these; timestamps are else rounded to 65,536 ns. Dawn ignores unknown ones.
const DAWN_FLAGS = [
  'enable-dawn-features=vulkan_enable_f16_on_nvidia,allow_unsafe_apis',
  'disable-dawn-features=timestamp_quantization',
];

// One instance per kind for the life of the process: an adapter or device whose GPU object is collected dies with it, and
// an instance is too heavy to make one for every device that is opened.
const instances = new Map<'system' | 'swiftshader', GPU>();
let queue: Promise<unknown> = Promise.resolve();

/**
 * Finds an adapter in Node: hardware, else an installed software Vulkan, else SwiftShader from npm. The environment
 * variable MLA_LP_ADAPTER (hardware, software, swiftshader) overrules `preference.prefer`.
 */
export const acquireAdapter: AcquireAdapter = (
  preference: AdapterPreference = {},
): Promise<AdapterChoice> => {
  // One at a time: SwiftShader is chosen through environment variables of the whole process.
  const turn = queue.then(() => chooseAdapter(nodeWorld, preference));
  queue = turn.catch(() => undefined);
  return turn;
};

const nodeWorld: AdapterWorld = {
  platform: process.platform,
  arch: process.arch,
  env: process.env,
  async systemObstacle() {
    const problem = missingLoader();
    // Asking Dawn anyway would only make it print this as a warning.
    return problem && /cannot open shared object file/.test(problem)
      ? 'no Vulkan loader (libvulkan.so.1) is installed'
      : problem;
  },
  requestSystem: (options) => request('system', options),
  async requestSwiftShader() {
    const archive = findSwiftShaderArchive();
    if (!archive) throw new Error('the optional package @sparticuz/chromium is not installed');
    const files = unpackSwiftShader(archive);
    // With no loader on the system, the one that comes along is loaded by path; Dawn then finds it by name.
    if (missingLoader()) {
      const problem = loadLibrary(files.loader);
      if (problem) throw new Error(problem);
    }
    return withEnvironment({ VK_DRIVER_FILES: files.driverJson, VK_ICD_FILENAMES: files.driverJson }, () =>
      request('swiftshader', {}),
    );
  },
};

async function request(
  kind: 'system' | 'swiftshader',
  options: GPURequestAdapterOptions,
): Promise<GPUAdapter | null> {
  let gpu = instances.get(kind);
  if (!gpu) {
    gpu = (await loadDawn()).create(DAWN_FLAGS);
    instances.set(kind, gpu);
  }
  return gpu.requestAdapter(options);
}

let loaderProblem: string | undefined | null = null;

/** Why the system's Vulkan loader cannot be loaded. Asked once: the bundled loader, once loaded, answers to the same name. */
function missingLoader(): string | undefined {
  if (loaderProblem === null) {
    loaderProblem = process.platform === 'linux' ? loadLibrary('libvulkan.so.1') : undefined;
  }
  return loaderProblem;
}

/** Imported late: most commands need no GPU, and the binary does not exist for every platform. */
async function loadDawn(): Promise<typeof import('webgpu')> {
  try {
    return await import('webgpu');
  } catch (cause) {
    const detail = cause instanceof Error ? cause.message.split('\n')[0] : String(cause);
    throw new Error(
      `Dawn (npm package webgpu) does not load on ${process.platform}-${process.arch}: ${detail}`,
      {
        cause,
      },
    );
  }
}

/**
 * Loads a shared library into this process for good. Node offers dlopen for addons only and complains about any other
 * library after loading it; NODELETE makes the library stay. Returns why it could not be loaded, or undefined.
 */
function loadLibrary(path: string): string | undefined {
  const RTLD_NODELETE = 0x1000;
  try {
    process.dlopen({ exports: {} }, path, constants.dlopen.RTLD_NOW | RTLD_NODELETE);
    return undefined;
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    return /did not self-register/.test(message) ? undefined : message;
  }
}

/** Runs `action` with variables set that native code reads, and puts the old values back. */
async function withEnvironment<T>(variables: Record<string, string>, action: () => Promise<T>): Promise<T> {
  const before = Object.keys(variables).map((name) => [name, process.env[name]] as const);
  Object.assign(process.env, variables);
  try {
    return await action();
  } finally {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  }
}
