import type { AcquireAdapter } from '../../runtime/adapter';
import { isSoftwareAdapter } from '../../runtime/adapter';
import { NoAdapterError } from '../../runtime/errors';

/** The browser's own choice. `prefer` has no say here, except that `bundled-swiftshader` asks for the fallback adapter. */
export const acquireAdapter: AcquireAdapter = async (preference = {}) => {
  const gpu = globalThis.navigator?.gpu;
  if (!gpu) {
    throw new NoAdapterError(
      'This browser offers no WebGPU (navigator.gpu is missing).',
      globalThis.isSecureContext
        ? 'Use Chrome or Edge 113, Safari 26 or Firefox 141 (or newer). On Linux, Chrome needs version 144 or chrome://flags/#enable-unsafe-webgpu.'
        : 'WebGPU needs a secure page: open this one over https or from http://localhost.',
    );
  }
  const adapter = await gpu.requestAdapter({
    powerPreference: preference.powerPreference ?? 'high-performance',
    forceFallbackAdapter:
      preference.prefer === 'bundled-swiftshader' || preference.prefer === 'installed-software',
  });
  if (!adapter) {
    throw new NoAdapterError(
      'This browser has WebGPU but gave no adapter: the GPU or its driver is missing or blocked.',
      'Update the GPU driver, turn on hardware acceleration in the settings, and look at chrome://gpu. On Linux try chrome://flags/#enable-unsafe-webgpu and #enable-vulkan.',
    );
  }
  return {
    adapter,
    source: 'navigator',
    software: isSoftwareAdapter(adapter.info),
    reason: "The browser's choice.",
    considered: [{ what: 'navigator.gpu', outcome: 'an adapter' }],
  };
};
