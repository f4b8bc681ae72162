/** One device per test file, on the adapter that MLA_LP_ADAPTER names or the platform chooses. */
import { afterAll } from 'vitest';
import { acquireAdapter } from '../../src/platform/node/adapter';
import { Gpu } from '../../src/runtime/device';

/** Opens a device that is closed after the file's last test. Call it at the top level of a test file. */
export async function openTestGpu(): Promise<Gpu> {
  const gpu = await Gpu.open(await acquireAdapter());
  afterAll(() => gpu.destroy());
  return gpu;
}
