/** Tables of devices that we measured. A row whose kernels have changed since finds no call, and `choose` decides. */
import type { Tuning } from '../runtime/tuned';
import { parseTunedFile, sameDevice, type TunedDevice, type TunedFile } from './tuned-table';

const SHIPPED: readonly (readonly [name: string, file: unknown])[] = [];

/** The rows that ship for a device; a processor they were measured on is not asked for. */
export function shippedTuning({ cpu: _cpu, ...device }: TunedDevice): Tuning | undefined {
  for (const [name, json] of SHIPPED) {
    const file = parseTunedFile(JSON.stringify(json)) as TunedFile;
    const { cpu: _measured, ...measured } = file.device;
    if (!sameDevice(measured, device)) continue;
    const table = new Map(file.rows.map(({ key, variant }) => [key, variant]));
    return { table, source: `shipped with mla-lp (${name})`, notes: [] };
  }
  return undefined;
}
