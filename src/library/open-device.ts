import { tuningOf } from '../io/tuned-table';
import type { AdapterPreference } from '../runtime/adapter';
import { Gpu } from '../runtime/device';
import { platform } from './platform';

export interface OpenDeviceOptions extends AdapterPreference {
  /**
   * Text of a table that `npm run tune` wrote, for whatever device it was measured on; false: every kernel is the engine's own choice.
   * Without it, Node takes the table in the user's cache (`MLA_LP_TUNED=off` or a path overrules that), other platforms none.
   * A text that cannot be used leaves a note in `gpu.tuning`.
   */
  readonly tuned?: string | false;
}

/**
 * Opens the best device there is. In Node: a hardware adapter, else an installed software Vulkan, else the SwiftShader that
 * npm brings; `gpu.choice` says which and why. In browsers and Deno: `navigator.gpu`'s.
 * @throws NoAdapterError with what to install, LimitError when the adapter is below WebGPU's guaranteed minimum.
 */
export async function openDevice({ tuned, ...preference }: OpenDeviceOptions = {}): Promise<Gpu> {
  const { acquireAdapter, loadTuning } = platform();
  const choice = await acquireAdapter(preference);
  if (tuned === false) return Gpu.open(choice);
  return Gpu.open(choice, tuned === undefined ? await loadTuning?.(choice) : tuningOf(tuned, 'given'));
}
