/** Tables of devices that we measured. A row whose kernels have changed since finds no call, and `choose` decides. */
import type { Tuning } from '../runtime/tuned';
import { parseTunedFile, sameDevice, type TunedDevice, type TunedFile } from './tuned-table';

/**
 * None so far: on the devices that were measured, both software, `npm run tune` found nothing faster for ViT-L/14; what it found for ViT-B/32
 * pays after dozens of images only (docs/tuning.md), and is left to those who run as many.
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
