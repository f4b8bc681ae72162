/** Tables of devices that we measured. A row whose kernels have changed since finds no call, and `choose` decides. */
import type { Tuning } from '../runtime/tuned';
import { parseTunedFile, sameDevice, type TunedDevice, type TunedFile } from './tuned-table';

/**
 * None so far. On lavapipe (Mesa 25.0.7) a ViT-B/32 of 4 blocks took 0.88 of the time with a table (0.84 to 0.95; November 2026), by kernels that
 * compile for half a second longer each: a gain after many images only, so that it is left to `npm run tune`.
 */
const SHIPPED: readonly (readonly [name: string, file: unknown])[] = [];

/**
 * The rows that ship for a device; the processor they were measured on is not asked for.
 * @param shipped name and file, as `formatTunedFile` writes them, of each table: tests give their own.
 */
export function shippedTuning(
  { cpu: _cpu, ...device }: TunedDevice,
  shipped: typeof SHIPPED = SHIPPED,
): Tuning | undefined {
  for (const [name, json] of shipped) {
    const file = parseTunedFile(JSON.stringify(json)) as TunedFile;
    const { cpu: _measured, ...measured } = file.device;
    if (!sameDevice(measured, device)) continue;
    const table = new Map(file.rows.map(({ key, variant }) => [key, variant]));
    return { table, source: `shipped with mla-lp (${name})`, notes: [] };
  }
  return undefined;
}
