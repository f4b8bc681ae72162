/** Where an adapter came from, best first. `navigator`: a browser's or Deno's own choice. */
export type AdapterSource = 'hardware' | 'installed-software' | 'bundled-swiftshader' | 'navigator';

/** One place that was looked at while choosing, and what was found there. */
export interface Considered {
  readonly what: string;
  readonly outcome: string;
}

/** The adapter that was chosen, and why. */
export interface AdapterChoice {
  readonly adapter: GPUAdapter;
  readonly source: AdapterSource;
  /** It computes on the CPU: good for tests and demos, far slower than any GPU. */
  readonly software: boolean;
  /** One sentence for people. */
  readonly reason: string;
  /** Everything that was looked at, in order, the chosen one last. */
  readonly considered: readonly Considered[];
}

/** What the caller asks for. `auto` takes hardware, else installed software, else the bundled SwiftShader. */
export interface AdapterPreference {
  readonly prefer?: 'auto' | 'hardware' | 'installed-software' | 'bundled-swiftshader';
  /** Which of several GPUs; `high-performance` unless told. */
  readonly powerPreference?: GPUPowerPreference;
}

/** Gets an adapter on one platform; src/platform/<name>/adapter.ts has one of these each. */
export type AcquireAdapter = (preference?: AdapterPreference) => Promise<AdapterChoice>;

/** The parts of GPUAdapterInfo that tell what computes. Every implementation leaves some empty. */
export type AdapterNames = Partial<
  Pick<GPUAdapterInfo, 'vendor' | 'architecture' | 'device' | 'description' | 'isFallbackAdapter'>
>;

// Mesa calls lavapipe `llvmpipe`; "software" is its architecture in Dawn. WARP is the Basic Render Driver.
const SOFTWARE_NAMES = /swiftshader|llvmpipe|lavapipe|softpipe|basic render (driver|device)|\bwarp\b/i;
const SOFTWARE_ARCHITECTURES = /^(software|cpu|warp|swiftshader)$/i;

/** Whether an adapter computes on the CPU. */
export function isSoftwareAdapter(info: AdapterNames): boolean {
  return (
    info.isFallbackAdapter === true ||
    SOFTWARE_ARCHITECTURES.test(info.architecture ?? '') ||
    SOFTWARE_NAMES.test(`${info.vendor ?? ''} ${info.device ?? ''} ${info.description ?? ''}`)
  );
}

/** A short name for people: the description, else vendor and architecture or device. */
export function describeAdapter(info: AdapterNames): string {
  const name = info.description || [info.vendor, info.architecture || info.device].filter(Boolean).join(' ');
  return name || 'an adapter that does not tell its name';
}
