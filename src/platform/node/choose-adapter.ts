import {
  type AdapterChoice,
  type AdapterPreference,
  type AdapterSource,
  type Considered,
  describeAdapter,
  isSoftwareAdapter,
} from '../../runtime/adapter';
import { NoAdapterError, OptionError } from '../../runtime/errors';
import { adapterAdvice } from './adapter-advice';

type Prefer = NonNullable<AdapterPreference['prefer']>;

/** What choosing looks at: injected, so that every machine can be played in a test. */
export interface AdapterWorld {
  readonly platform: NodeJS.Platform;
  readonly arch: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Why the system's GPU interface cannot even be loaded (no Vulkan loader, no Dawn binary), or undefined. */
  systemObstacle(): Promise<string | undefined>;
  /** An adapter from the drivers that the system (or VK_DRIVER_FILES) offers. */
  requestSystem(options: GPURequestAdapterOptions): Promise<GPUAdapter | null>;
  /** An adapter from SwiftShader out of npm; throws with the reason where there is none. */
  requestSwiftShader(): Promise<GPUAdapter | null>;
}

const FORCED: Record<string, Prefer> = {
  hardware: 'hardware',
  software: 'installed-software',
  swiftshader: 'bundled-swiftshader',
  auto: 'auto',
};

/** Reads MLA_LP_ADAPTER, which overrules what the program asks for. */
export function forcedPreference(env: AdapterWorld['env']): Prefer | undefined {
  const value = env.MLA_LP_ADAPTER;
  if (!value) return undefined;
  const prefer = Object.hasOwn(FORCED, value) ? FORCED[value] : undefined;
  if (!prefer) {
    throw new OptionError(
      `MLA_LP_ADAPTER is "${value}".`,
      'It may be hardware, software (an installed software Vulkan), swiftshader (the one from npm) or auto.',
    );
  }
  return prefer;
}

/** Hardware, else an installed software driver, else SwiftShader from npm; or only the one that is asked for. */
export async function chooseAdapter(
  world: AdapterWorld,
  preference: AdapterPreference = {},
): Promise<AdapterChoice> {
  const forced = forcedPreference(world.env);
  const prefer = forced ?? preference.prefer ?? 'auto';
  const considered: Considered[] = [];
  const note = (what: string, outcome: string) => {
    considered.push({ what, outcome });
  };
  const choose = (adapter: GPUAdapter, source: AdapterSource, why: string): AdapterChoice => ({
    adapter,
    source,
    software: isSoftwareAdapter(adapter.info),
    reason:
      forced && forced !== 'auto' ? `${why} (forced by MLA_LP_ADAPTER=${world.env.MLA_LP_ADAPTER})` : why,
    considered,
  });
  const wants = (one: Prefer) => prefer === 'auto' || prefer === one;

  if (prefer !== 'bundled-swiftshader') {
    const { hardware, software } = await lookAtSystem(world, prefer, preference.powerPreference, note);
    if (hardware && wants('hardware')) {
      return choose(hardware, 'hardware', 'A GPU that the system offers.');
    }
    if (software && wants('installed-software')) {
      const why = hardware
        ? 'A software driver installed on this system.'
        : 'No GPU was found, but a software driver is installed on this system.';
      return choose(software, 'installed-software', why);
    }
  }

  if (wants('bundled-swiftshader')) {
    const adapter = await lookAtSwiftShader(world, note);
    if (adapter) {
      const why =
        prefer === 'auto'
          ? 'Neither a GPU nor an installed software driver was found; SwiftShader from npm computes on the CPU.'
          : 'SwiftShader from npm, as asked for.';
      return choose(adapter, 'bundled-swiftshader', why);
    }
  }

  const asked = prefer === 'auto' ? '' : ` of the kind asked for (${prefer})`;
  const looks = considered.map(({ what, outcome }) => `${what}: ${outcome}`).join('; ');
  const demand = forced ? 'MLA_LP_ADAPTER' : 'the preference';
  const remedies = [
    ...(prefer === 'auto' ? [] : [`Drop ${demand} to take whatever there is.`]),
    ...adapterAdvice(world.platform, 'none'),
  ];
  throw new NoAdapterError(`No WebGPU adapter${asked} was found. Looked at ${looks}.`, remedies.join('\n'));
}

type Note = (what: string, outcome: string) => void;

async function lookAtSystem(
  world: AdapterWorld,
  prefer: Prefer,
  powerPreference: GPUPowerPreference = 'high-performance',
  note: Note,
) {
  const found: { hardware?: GPUAdapter; software?: GPUAdapter } = {};
  const obstacle = await attempt(() => world.systemObstacle());
  if (obstacle.value ?? obstacle.error) {
    note(systemName(world), (obstacle.value ?? obstacle.error)!);
    return found;
  }
  const first = await attempt(() => world.requestSystem({ powerPreference }));
  if (first.value) {
    const software = isSoftwareAdapter(first.value.info);
    found[software ? 'software' : 'hardware'] = first.value;
    note(systemName(world), `${describeAdapter(first.value.info)}${software ? ', which is software' : ''}`);
  } else {
    note(systemName(world), first.error ?? 'no adapter that Dawn accepts');
  }
  // A GPU hides software drivers, and Windows shows WARP only when asked for it.
  const enough = prefer === 'hardware' || found.software || (prefer === 'auto' && found.hardware);
  if (!enough) {
    const second = await attempt(() => world.requestSystem({ forceFallbackAdapter: true }));
    if (second.value && isSoftwareAdapter(second.value.info)) found.software = second.value;
    note(
      'installed software driver',
      found.software ? describeAdapter(found.software.info) : (second.error ?? 'none that Dawn accepts'),
    );
  }
  return found;
}

async function lookAtSwiftShader(world: AdapterWorld, note: Note): Promise<GPUAdapter | undefined> {
  const what = 'SwiftShader from npm';
  if (world.platform !== 'linux' || world.arch !== 'x64') {
    note(what, `only for linux-x64, this is ${world.platform}-${world.arch}`);
    return undefined;
  }
  const result = await attempt(() => world.requestSwiftShader());
  note(what, result.value ? describeAdapter(result.value.info) : (result.error ?? 'it gave no adapter'));
  return result.value ?? undefined;
}

function systemName(world: AdapterWorld): string {
  if (world.platform === 'darwin') return "the system's Metal devices";
  if (world.platform === 'win32') return "the system's Direct3D and Vulkan devices";
  const chosen = world.env.VK_DRIVER_FILES || world.env.VK_ICD_FILENAMES;
  return chosen ? `Vulkan drivers that VK_DRIVER_FILES names (${chosen})` : "the system's Vulkan drivers";
}

async function attempt<T>(action: () => Promise<T>): Promise<{ value?: T; error?: string }> {
  try {
    return { value: await action() };
  } catch (cause) {
    return { error: cause instanceof Error ? cause.message : String(cause) };
  }
}
