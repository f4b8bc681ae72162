/** The single-frame files of a DICOM series as one volume. */
import { planesToGrid } from './formats/dicom/dicom';
import type { SeriesPlace, Volume } from './volume';

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
 * @param members in order. @param open opens a member's file; its window is the file's own.
 */
export function seriesVolume(
  members: readonly SeriesMember[],
  warnings: readonly string[],
  open: (member: SeriesMember) => Promise<Volume>,
): Volume {
  const [first, last] = [members[0]!, members[members.length - 1]!];
  return {
    format: 'dicom',
    slices: members.length,
    warnings,
    grid: planesToGrid(first.columns, first.rows, members.length, first.place.plane, last.place.plane),
    label: (i) => `slice ${i}`,
    slice: async (i) => (await open(members[i]!)).slice(0),
  };
}
