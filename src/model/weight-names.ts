/** Names of weights that are not stored as they are but derived from stored ones when they are uploaded (`weight-loader.ts`). */

const TRANSPOSED = '^T';
const JOINT = ' + ';
const VISUAL_POSITION = 'visual.positional_embedding@';
const TEXT_POSITION = 'positional_embedding:';

/** The image tower's position embeddings, resized to grid x grid patches; f32 [1 + grid*grid, width]. */
export function positionEmbeddingName(grid: number): string {
  return `${VISUAL_POSITION}${grid}`;
}

/** The text tower's first `length` position embeddings; f32 [length, textWidth]. */
export function textPositionName(length: number): string {
  return `${TEXT_POSITION}${length}`;
}

/** A stored matrix [R, C] as [C, R]: projections are stored [in, out], GEMM reads [out, in]. */
export function transposedName(name: string): string {
  return name + TRANSPOSED;
}

/** Matrices of one shape [R, C] one after the other: [n R, C]. */
export function jointName(...names: readonly string[]): string {
  return names.join(JOINT);
}

/** Names of the parts, all of one size, that stand one after the other in `name`; itself where it is not joint. */
export function partsOf(name: string): readonly string[] {
  return name.split(JOINT);
}

/** Whether `tensors` has all that `name` is made of. */
export function madeOf(name: string, tensors: Pick<ReadonlyMap<string, unknown>, 'has'>): boolean {
  return partsOf(name).every((part) => tensors.has(derivation(part).from));
}

export type Derivation =
  | { readonly kind: 'stored'; readonly from: string }
  | { readonly kind: 'transposed'; readonly from: string }
  | { readonly kind: 'resized'; readonly from: string; readonly grid: number };

/** Which stored tensor a part (`partsOf`) comes from, and how. A leading part of the stored values counts as stored. */
export function derivation(name: string): Derivation {
  if (name.endsWith(TRANSPOSED)) return { kind: 'transposed', from: name.slice(0, -TRANSPOSED.length) };
  if (name.startsWith(VISUAL_POSITION)) {
    return {
      kind: 'resized',
      from: VISUAL_POSITION.slice(0, -1),
      grid: Number(name.slice(VISUAL_POSITION.length)),
    };
  }
  if (name.startsWith(TEXT_POSITION)) return { kind: 'stored', from: TEXT_POSITION.slice(0, -1) };
  return { kind: 'stored', from: name };
}
