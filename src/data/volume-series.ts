/** The single-frame files of a DICOM series as one volume. */
import { BadImageError } from '../runtime/errors';
import { planesToGrid } from './formats/dicom/dicom';
import type { GrayWindow, SeriesPlace, Volume } from './volume';

/** A file of one frame. */
export interface SeriesMember {
  readonly name: string;
  readonly place: SeriesPlace;
  readonly columns: number;
  readonly rows: number;
}

/** Files that belong together, each group in the order of its slices; files without company are left out. */
export function groupSeries(members: readonly SeriesMember[]): SeriesMember[][] {
  const groups = new Map<string, SeriesMember[]>();
  for (const member of members) {
    const key = `${member.place.series} ${member.columns}x${member.rows}`;
    groups.set(key, [...(groups.get(key) ?? []), member]);
  }
  return [...groups.values()].filter((group) => group.length > 1).map(sorted);
}

/** By place in the patient where all tell it and no two are at one, else by instance number, else by name. */
function sorted(group: readonly SeriesMember[]): SeriesMember[] {
  const byName = [...group].sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const key of [alongNormal(byName), byName.map(({ place }) => place.instance)]) {
    const distinct = new Set(key);
    if (distinct.has(undefined) || distinct.size < key.length) continue;
    return byName
      .map((member, i) => ({ member, at: key[i]! }))
      .sort((a, b) => a.at - b.at)
      .map(({ member }) => member);
  }
  return byName;
}

/** Millimetres along the normal of the first file's plane. */
function alongNormal(group: readonly SeriesMember[]): (number | undefined)[] {
  const [x1, x2, x3, y1, y2, y3] = group[0]?.place.plane.orientation ?? [];
  if (y3 === undefined) return group.map(() => undefined);
  const normal = [x2! * y3 - x3! * y2!, x3! * y1! - x1! * y3, x1! * y2! - x2! * y1!];
  return group.map(({ place }) => {
    const at = place.plane.position?.reduce((sum, value, k) => sum + value * normal[k]!, 0);
    // To a micrometre: positions are decimal text.
    return at === undefined ? undefined : Math.round(at * 1000) / 1000;
  });
}

/**
 * @param members in order. @param open opens a member's file, with the window given or the file's own. Where files name no
 * window, all are decoded once for the one that they share.
 */
export function seriesVolume(
  members: readonly SeriesMember[],
  warnings: readonly string[],
  open: (member: SeriesMember, window?: GrayWindow) => Promise<Volume>,
): Volume {
  const [first, last] = [members[0]!, members[members.length - 1]!];
  let shared: Promise<GrayWindow | undefined> | undefined;
  return {
    format: 'dicom',
    slices: members.length,
    warnings,
    grid: planesToGrid(first.columns, first.rows, members.length, first.place.plane, last.place.plane),
    label: (i) => `slice ${i}`,
    async slice(i) {
      const member = members[i]!;
      const volume = await open(member);
      if (!volume.valueRange) return volume.slice(0);
      shared ??= sharedWindow(members, open);
      const window = await shared;
      return (window ? await open(member, window) : volume).slice(0);
    },
  };
}

/** Undefined also of a file that cannot be decoded: its own slice says so. */
async function rangeOf(
  member: SeriesMember,
  open: (member: SeriesMember) => Promise<Volume>,
): Promise<readonly [number, number] | undefined> {
  try {
    return await (await open(member)).valueRange?.();
  } catch (error) {
    if (error instanceof BadImageError) return undefined;
    throw error;
  }
}

/** From the lowest to the highest value of all members that name no window; undefined where these are equal. */
async function sharedWindow(
  members: readonly SeriesMember[],
  open: (member: SeriesMember) => Promise<Volume>,
): Promise<GrayWindow | undefined> {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const member of members) {
    const range = await rangeOf(member, open);
    low = Math.min(low, range?.[0] ?? low);
    high = Math.max(high, range?.[1] ?? high);
  }
  return high > low ? { center: (low + high) / 2, width: high - low } : undefined;
}
