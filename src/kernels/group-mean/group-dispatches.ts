import { type Capabilities, foldGrid } from '../../runtime/capabilities';
import type { Dispatch } from '../../runtime/op';

/**
 * Dispatches of a template with GROUP, FIRST and ROWS, one a group.
 * @param invocations how many a group of so many rows needs.
 */
export function groupDispatches(
  counts: readonly number[],
  shared: Pick<Dispatch, 'kernel' | 'types' | 'bindings'>,
  COLS: number,
  invocations: (rows: number) => number,
  caps: Capabilities,
): Dispatch[] {
  let first = 0;
  return counts.map((ROWS, GROUP) => {
    const FIRST = first;
    first += ROWS;
    const workgroups = foldGrid(Math.ceil(invocations(ROWS) / 64), caps);
    return { ...shared, constants: { COLS, GROUP, FIRST, ROWS }, workgroups };
  });
}
