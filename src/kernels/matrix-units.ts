/** What the kernels on matrix units share: which of a device's configurations a call gets. */
import type { Capabilities, MatrixConfig } from '../runtime/capabilities';
import type { Cannot } from '../runtime/op';
import type { TensorType } from '../runtime/tensor-type';

/** Storage types of factors that matrix units can multiply with sums in f32. */
export type FactorType = 'f32' | 'f16';

export interface MatrixUnits {
  readonly config: MatrixConfig;
  /** Of the factors in workgroup memory and in matrices. */
  readonly type: FactorType;
  /** Invocations of every subgroup. */
  readonly lanes: number;
}

/**
 * The first configuration that `fits`, for the products of `factors`. Sums are f32, and no operand loses bits: f16 where all of them
 * are, else f32, which few devices have. (Attention's weights, which it makes itself, are rounded to the same type.) Drivers list first what they prefer. Kernels count on subgroups of one size.
 */
export function matrixUnits(
  caps: Capabilities,
  factors: readonly TensorType[],
  fits: (config: MatrixConfig, type: FactorType) => boolean,
): MatrixUnits | Cannot {
  const { subgroups, subgroupMinSize: lanes, subgroupMaxSize } = caps;
  if (!subgroups || lanes !== subgroupMaxSize) return { cannot: 'subgroups have no fixed size' };
  const f16 = factors.every(({ dtype }) => dtype === 'f16');
  for (const type of f16 ? (['f16', 'f32'] as const) : (['f32'] as const)) {
    const config = caps.matrixConfigs.find(
      (one) => one.component === type && one.result === 'f32' && fits(one, type),
    );
    if (config) return { config, type, lanes };
  }
  return { cannot: 'the device has no matrix units for these types that sum in f32' };
}
