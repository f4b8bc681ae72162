/** Numbers of the float64 reference, and how far a result is from them. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { memoryBytes } from '../../src/io/bytes';
import { openSafetensors } from '../../src/io/safetensors';
import type { TensorSource } from '../../src/model/tensor-source';

const FIXTURES = join(import.meta.dirname, '../fixtures');

export function fixture(path: string): string {
  return join(FIXTURES, path);
}

export async function openGolden(path: string): Promise<TensorSource> {
  return openWhole(fixture(path));
}

/** A small safetensors file, read at once: nothing is left open. */
export async function openWhole(path: string): Promise<TensorSource> {
  return openSafetensors(memoryBytes(Uint8Array.from(await readFile(path)), path));
}

/** |got - want| / |want| in the Euclidean norm; infinite when the lengths differ or something is NaN. */
export function relativeError(got: ArrayLike<number>, want: ArrayLike<number>): number {
  if (got.length !== want.length) return Number.POSITIVE_INFINITY;
  let difference = 0;
  let norm = 0;
  for (let i = 0; i < want.length; i++) {
    difference += (got[i]! - want[i]!) ** 2;
    norm += want[i]! ** 2;
  }
  const error = Math.sqrt(difference / norm);
  return Number.isNaN(error) ? Number.POSITIVE_INFINITY : error;
}
