/** Kernels that give each row to a subgroup, which is the whole workgroup: no barriers. Where they can run, and where they pay. */
import type { Capabilities } from '../runtime/capabilities';
import type { Cannot } from '../runtime/op';

/** @param step columns of a load. */
export function subgroupRowObstacle(cols: number, step: 1 | 4, caps: Capabilities): Cannot | undefined {
  if (cols % step !== 0) return { cannot: `${cols} columns are not a multiple of ${step}` };
  const { subgroups, subgroupMinSize: lanes, subgroupMaxSize } = caps;
  return subgroups && lanes >= 4 && lanes === subgroupMaxSize
    ? undefined
    : { cannot: 'subgroups are not of one size from 4 on' };
}

/** Unmeasured on GPUs: wide subgroups, and rows of at most 16 loads an invocation. */
export function subgroupRowPays(cols: number, step: 1 | 4, caps: Capabilities): boolean {
  const { software, subgroupMinSize: lanes } = caps;
  return !software && lanes >= 32 && cols <= 16 * step * lanes && !subgroupRowObstacle(cols, step, caps);
}
