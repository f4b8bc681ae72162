/** How slices are turned so that they look as a radiologist expects: seen from the patient's feet, right, or front. */
import type { SliceGrid } from '../../volume';

/** World axes: 0 right (R) at its positive end, 1 front (A), 2 head (S). */
type World = 0 | 1 | 2;

/**
 * The picture axes and flips for slices across voxel axis `slice`.
 *
 * | slices | left edge | top edge |
 * |---|---|---|
 * | axial | patient's right | front |
 * | coronal | patient's right | head |
 * | sagittal | front | head |
 *
 * Each voxel axis counts for the body axis that it is closest to. Without an affine the file's own order stays.
 */
export function displayAxes(
  slice: 0 | 1 | 2,
  affine: readonly number[] | undefined,
): Pick<SliceGrid, 'axes' | 'flip'> {
  const [first, second] = ([0, 1, 2] as const).filter((axis) => axis !== slice) as [0 | 1 | 2, 0 | 1 | 2];
  if (!affine) return { axes: { slice, x: first, y: second }, flip: { x: false, y: false } };
  const world = closestAxes(affine);
  // Across the picture runs right-left, else front-back; down runs head-foot, else front-back.
  const x =
    world[first]!.axis === 0
      ? first
      : world[second]!.axis === 0
        ? second
        : world[first]!.axis === 1
          ? first
          : second;
  const y = x === first ? second : first;
  // The left edge is the patient's right or front, the top edge front or head: always the positive end of the world axis.
  return { axes: { slice, x, y }, flip: { x: world[x]!.positive, y: world[y]!.positive } };
}

/** For each voxel axis its body axis, each taken once, and whether it runs towards that axis's positive end. */
function closestAxes(affine: readonly number[]): { axis: World; positive: boolean }[] {
  const lengths = [0, 1, 2].map((k) => Math.hypot(affine[k]!, affine[4 + k]!, affine[8 + k]!));
  const pairs = [0, 1, 2].flatMap((voxel) =>
    ([0, 1, 2] as const).map((axis) => ({ voxel, axis, share: affine[4 * axis + voxel]! / lengths[voxel]! })),
  );
  pairs.sort((p, q) => Math.abs(q.share) - Math.abs(p.share));
  const found: { axis: World; positive: boolean }[] = [];
  const taken = new Set<number>();
  for (const { voxel, axis, share } of pairs) {
    if (found[voxel] || taken.has(axis)) continue;
    found[voxel] = { axis, positive: share > 0 };
    taken.add(axis);
  }
  return found;
}
