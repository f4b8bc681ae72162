import { ShapeError } from './errors';

/** Element types that live on the GPU. */
export type Dtype = 'f32' | 'f16' | 'u32';

export interface TensorType {
  readonly dtype: Dtype;
  /** Row-major, sizes >= 1; [] is a scalar. */
  readonly shape: readonly number[];
}

export const BYTES: Record<Dtype, number> = { f32: 4, f16: 2, u32: 4 };

export function tensorType(dtype: Dtype, shape: readonly number[]): TensorType {
  for (const n of shape) {
    if (!Number.isSafeInteger(n) || n < 1) {
      throw new ShapeError(
        `A tensor cannot have the shape [${shape}].`,
        'Every size must be a whole number of at least 1.',
      );
    }
  }
  return { dtype, shape };
}

/** Number of elements. */
export function sizeOf(type: TensorType): number {
  return type.shape.reduce((product, n) => product * n, 1);
}

/** Bytes of storage, rounded up to 16 so that a binding can always be read as vec4<f32>. */
export function byteSize(type: TensorType): number {
  return roundUp(sizeOf(type) * BYTES[type.dtype], 16);
}

export function roundUp(n: number, step: number): number {
  return Math.ceil(n / step) * step;
}

export function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((n, i) => n === b[i]);
}

/** "f32[2,290,1024]", for messages and listings. */
export function describe(type: TensorType): string {
  return `${type.dtype}[${type.shape.join(',')}]`;
}
