import type { AdapterPreference } from '../runtime/adapter';
import { Gpu } from '../runtime/device';
import { platform } from './platform';

/**
 * Opens the best device there is. In Node: a hardware adapter, else an installed software Vulkan, else the SwiftShader that
 * npm brings; `gpu.choice` says which and why. In browsers and Deno: `navigator.gpu`'s.
 * @throws NoAdapterError with what to install, LimitError when the adapter is below WebGPU's guaranteed minimum.
 */
export async function openDevice(preference: AdapterPreference = {}): Promise<Gpu> {
  return Gpu.open(await platform().acquireAdapter(preference));
}
