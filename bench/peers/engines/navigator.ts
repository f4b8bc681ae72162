/** Gives browser libraries `navigator.gpu` in Node, with the very adapter that mla-lp chooses. */
import { acquireAdapter } from '../../../src/platform/node/adapter';

/** @returns the adapter's own words about itself. */
export async function installNavigator(): Promise<GPUAdapterInfo> {
  const { globals } = await import('webgpu');
  Object.assign(globalThis, globals);
  const { adapter } = await acquireAdapter();
  const gpu = {
    // An adapter gives one device: each call needs its own.
    requestAdapter: async () => (await acquireAdapter()).adapter,
    getPreferredCanvasFormat: () => 'bgra8unorm',
    wgslLanguageFeatures: new Set<string>(),
  };
  Object.defineProperty(globalThis, 'navigator', {
    configurable: true,
    value: { gpu, userAgent: 'Node', platform: process.platform },
  });
  return adapter.info;
}
