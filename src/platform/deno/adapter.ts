import type { AcquireAdapter } from '../../runtime/adapter';
import { describeAdapter, isSoftwareAdapter } from '../../runtime/adapter';
import { NoAdapterError } from '../../runtime/errors';

/** Deno's own choice (wgpu over Vulkan, Metal or Direct3D). `prefer` has no say beyond asking for a fallback adapter. */
export const acquireAdapter: AcquireAdapter = async (preference = {}) => {
  const gpu = globalThis.navigator?.gpu;
  if (!gpu) {
    throw new NoAdapterError(
      'Deno offers no WebGPU (navigator.gpu is missing).',
      'Run it with --unstable-webgpu, or set "unstable": ["webgpu"] in deno.json.',
    );
  }
  const adapter = await gpu.requestAdapter({
    powerPreference: preference.powerPreference ?? 'high-performance',
    forceFallbackAdapter:
      preference.prefer === 'bundled-swiftshader' || preference.prefer === 'installed-software',
  });
  if (!adapter) {
    throw new NoAdapterError(
      'Deno found no adapter.',
      'Install a GPU driver. On Linux Deno needs the Vulkan loader and a driver: install libvulkan1 and mesa-vulkan-drivers, or point LD_LIBRARY_PATH at a folder with libvulkan.so.1 and VK_DRIVER_FILES at a driver json (`npx mla-lp doctor` unpacks SwiftShader and prints both).',
    );
  }
  return {
    adapter,
    source: 'navigator',
    software: isSoftwareAdapter(adapter.info),
    reason: "Deno's choice.",
    considered: [{ what: 'navigator.gpu', outcome: describeAdapter(adapter.info) }],
  };
};
