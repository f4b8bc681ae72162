import { expect, test } from 'vitest';
import { type AdapterWorld, chooseAdapter } from '../../src/platform/node/choose-adapter';
import { type AdapterNames, isSoftwareAdapter } from '../../src/runtime/adapter';
import { NoAdapterError, OptionError } from '../../src/runtime/errors';

const NVIDIA = {
  vendor: 'nvidia',
  architecture: 'hopper',
  description: 'NVIDIA: 550.1',
  isFallbackAdapter: false,
};
const LAVAPIPE = {
  vendor: 'mesa',
  architecture: 'software',
  description: 'llvmpipe: Mesa 25',
  isFallbackAdapter: true,
};
const SWIFTSHADER = {
  vendor: 'google',
  architecture: 'swiftshader',
  description: 'SwiftShader driver 5.0.0',
};
const WARP = { vendor: 'microsoft', architecture: 'warp', description: 'Microsoft Basic Render Driver' };

const adapter = (info: AdapterNames) => ({ info }) as GPUAdapter;

interface Machine {
  /** What requestAdapter() gives, and what it gives when asked for a fallback adapter. */
  system?: AdapterNames;
  fallback?: AdapterNames;
  obstacle?: string;
  swiftShader?: AdapterNames | Error;
  platform?: NodeJS.Platform;
  arch?: string;
  env?: Record<string, string>;
}

function play(machine: Machine) {
  const asked: string[] = [];
  const world: AdapterWorld = {
    platform: machine.platform ?? 'linux',
    arch: machine.arch ?? 'x64',
    env: machine.env ?? {},
    async systemObstacle() {
      return machine.obstacle;
    },
    async requestSystem(options) {
      asked.push(options.forceFallbackAdapter ? 'fallback' : `system ${options.powerPreference}`);
      const info = options.forceFallbackAdapter ? machine.fallback : machine.system;
      return info ? adapter(info) : null;
    },
    async requestSwiftShader() {
      asked.push('swiftshader');
      if (machine.swiftShader instanceof Error) throw machine.swiftShader;
      return machine.swiftShader ? adapter(machine.swiftShader) : null;
    },
  };
  return { world, asked };
}

test('a GPU is taken, and nothing else is touched', async () => {
  const { world, asked } = play({ system: NVIDIA, fallback: LAVAPIPE, swiftShader: SWIFTSHADER });
  const choice = await chooseAdapter(world);
  expect(choice).toMatchObject({ source: 'hardware', software: false });
  expect(asked).toEqual(['system high-performance']);
});

test('the power preference is passed on', async () => {
  const { world, asked } = play({ system: NVIDIA });
  await chooseAdapter(world, { powerPreference: 'low-power' });
  expect(asked).toEqual(['system low-power']);
});

test('without a GPU an installed software driver is taken', async () => {
  const { world, asked } = play({ system: LAVAPIPE, swiftShader: SWIFTSHADER });
  const choice = await chooseAdapter(world);
  expect(choice).toMatchObject({ source: 'installed-software', software: true });
  expect(choice.considered[0]?.outcome).toMatch(/llvmpipe.*software/);
  expect(asked).not.toContain('swiftshader');
});

test('WARP is found where it shows only as a fallback adapter', async () => {
  const { world } = play({ platform: 'win32', fallback: WARP });
  expect(await chooseAdapter(world)).toMatchObject({ source: 'installed-software', software: true });
});

test('with no driver at all, SwiftShader from npm', async () => {
  const { world, asked } = play({ obstacle: 'no Vulkan loader', swiftShader: SWIFTSHADER });
  const choice = await chooseAdapter(world);
  expect(choice).toMatchObject({ source: 'bundled-swiftshader', software: true });
  expect(choice.considered.map((c) => c.outcome)).toEqual(['no Vulkan loader', 'SwiftShader driver 5.0.0']);
  // Dawn is not even asked: it would warn about the missing loader on stderr.
  expect(asked).toEqual(['swiftshader']);
});

test('drivers named by VK_DRIVER_FILES that give nothing are said by name', async () => {
  const { world } = play({ env: { VK_DRIVER_FILES: '/opt/broken.json' }, swiftShader: SWIFTSHADER });
  const choice = await chooseAdapter(world);
  expect(choice.source).toBe('bundled-swiftshader');
  expect(choice.considered[0]?.what).toContain('/opt/broken.json');
});

test.each([
  ['hardware', { system: NVIDIA, fallback: LAVAPIPE }, 'hardware'],
  ['software', { system: NVIDIA, fallback: LAVAPIPE }, 'installed-software'],
  ['swiftshader', { system: NVIDIA, swiftShader: SWIFTSHADER }, 'bundled-swiftshader'],
  ['auto', { system: NVIDIA }, 'hardware'],
] as const)('MLA_LP_ADAPTER=%s overrules the program', async (value, machine, source) => {
  const { world } = play({ ...machine, env: { MLA_LP_ADAPTER: value } });
  const choice = await chooseAdapter(world, {
    prefer: source === 'hardware' ? 'bundled-swiftshader' : 'hardware',
  });
  expect(choice.source).toBe(source);
  if (value !== 'auto') expect(choice.reason).toContain(`MLA_LP_ADAPTER=${value}`);
});

test.each([
  ['hardware', { system: LAVAPIPE, swiftShader: SWIFTSHADER }],
  ['installed-software', { system: NVIDIA, swiftShader: SWIFTSHADER }],
  ['bundled-swiftshader', { system: NVIDIA, swiftShader: new Error('not installed') }],
] as const)('what is asked for and missing is not replaced: %s', async (prefer, machine) => {
  const { world } = play(machine);
  const error = await chooseAdapter(world, { prefer }).catch((e: unknown) => e);
  expect(error).toBeInstanceOf(NoAdapterError);
  expect((error as NoAdapterError).message).toContain(prefer);
});

test.each(['linux', 'darwin', 'win32', 'freebsd'] as const)(
  'nothing works on %s: facts and remedy',
  async (platform) => {
    const { world } = play({ platform, obstacle: 'it does not load' });
    const error = (await chooseAdapter(world).catch((e: unknown) => e)) as NoAdapterError;
    expect(error).toBeInstanceOf(NoAdapterError);
    expect(error.code).toBe('no-adapter');
    expect(error.fact).toContain('it does not load');
    expect(error.remedy.length).toBeGreaterThan(40);
  },
);

test('SwiftShader from npm is not tried where it cannot run', async () => {
  const { world, asked } = play({ arch: 'arm64' });
  await expect(chooseAdapter(world)).rejects.toThrow('only for linux-x64, this is linux-arm64');
  expect(asked).not.toContain('swiftshader');
});

test.each(['gpu', 'SwiftShader', 'constructor'])('MLA_LP_ADAPTER=%s is refused', async (value) => {
  const { world } = play({ system: NVIDIA, env: { MLA_LP_ADAPTER: value } });
  await expect(chooseAdapter(world)).rejects.toThrow(OptionError);
});

test('software adapters are told from GPUs by every name that implementations use', () => {
  const software: AdapterNames[] = [
    LAVAPIPE,
    SWIFTSHADER,
    WARP,
    { vendor: '65541', device: '0', description: 'llvmpipe (LLVM 15.0.6, 256 bits)' }, // Deno
    { vendor: '6880', device: '49374', description: 'SwiftShader Device (Subzero)' }, // Deno
    { vendor: 'google', architecture: 'swiftshader', description: '' }, // Chromium
    { isFallbackAdapter: true },
  ];
  const hardware: AdapterNames[] = [
    NVIDIA,
    {},
    { vendor: 'apple', architecture: 'metal-3' },
    { vendor: 'amd', architecture: 'rdna-3', description: 'AMD Radeon RX 7900 (RADV NAVI31)' },
    { vendor: 'intel', architecture: 'gen-12lp', description: 'Mesa Intel(R) Xe Graphics' },
  ];
  expect(software.filter((info) => !isSoftwareAdapter(info))).toEqual([]);
  expect(hardware.filter(isSoftwareAdapter)).toEqual([]);
});
