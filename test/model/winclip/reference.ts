/** WinCLIP in plain float64 loops, written from its equations (Jeong et al. 2023, section 4). */
import { cosine, type ReferenceTower, softmaxOfSecond, type Vector } from '../reference-tower';

/** What the tower makes of an image: its embedding, per side its windows' (row by row), and the last block's patches. */
export interface WinClipView {
  readonly image: Vector;
  readonly windows: Readonly<Record<2 | 3, readonly Vector[]>>;
  readonly patches: readonly Vector[];
}

/** @param image [3, S, S] as the tower sees it. */
export function viewOf(tower: ReferenceTower, image: ArrayLike<number>): WinClipView {
  const tokens = tower.tokens(image);
  const { grid } = tower;
  const windowsOf = (side: number) => {
    const found: Vector[] = [];
    for (let top = 0; top + side <= grid; top++)
      for (let left = 0; left + side <= grid; left++) {
        const members = [tokens[0]!];
        for (let y = 0; y < side; y++)
          for (let x = 0; x < side; x++) members.push(tokens[1 + (top + y) * grid + left + x]!);
        found.push(tower.embedding(tower.blocks(members)[0]!));
      }
    return found;
  };
  const whole = tower.blocks(tokens);
  return {
    image: tower.embedding(whole[0]!),
    windows: { 2: windowsOf(2), 3: windowsOf(3) },
    patches: whole.slice(1),
  };
}

/** Eq. 1 with the temperature 0.07. @param text [2, embed]. */
export function probability(embedding: Vector, text: ArrayLike<number>): number {
  const columns = [0, 1].map((k) =>
    Array.from({ length: embedding.length }, (_, e) => text[k * embedding.length + e]!),
  );
  const [normal, abnormal] = columns.map((column) => cosine(embedding, column) / 0.07) as [number, number];
  return softmaxOfSecond(normal, abnormal);
}

/** Eq. 2: per patch the harmonic mean of the scores of the windows that hold it. */
export function spread(scores: readonly number[], side: number, grid: number): number[] {
  const along = grid - side + 1;
  return Array.from({ length: grid * grid }, (_, cell) => {
    const [row, column] = [Math.floor(cell / grid), cell % grid];
    let [count, sum] = [0, 0];
    scores.forEach((score, w) => {
      const [top, left] = [Math.floor(w / along), w % along];
      if (row < top || row >= top + side || column < left || column >= left + side) return;
      count++;
      sum += 1 / score;
    });
    return count / sum;
  });
}

/** The language-guided image score and map [grid * grid]. */
export function zeroShot(view: WinClipView, text: ArrayLike<number>, grid: number) {
  const score = probability(view.image, text);
  const maps = ([2, 3] as const).map((side) =>
    spread(
      view.windows[side].map((w) => probability(w, text)),
      side,
      grid,
    ),
  );
  const map = maps[0]!.map((_, cell) => 3 / (1 / score + 1 / maps[0]![cell]! + 1 / maps[1]![cell]!));
  return { score, map };
}

/** Eq. 4: half of 1 - cosine to the nearest reference. */
function association(x: Vector, references: readonly Vector[]): number {
  return Math.min(...references.map((r) => (1 - cosine(x, r)) / 2));
}

/** WinCLIP+ (eq. 5 and 6): the map and the score with the references' view mixed in. */
export function fewShot(
  view: WinClipView,
  references: readonly WinClipView[],
  text: ArrayLike<number>,
  grid: number,
) {
  const patches = references.flatMap((r) => r.patches);
  const ofPatches = view.patches.map((p) => association(p, patches));
  const [small, middle] = ([2, 3] as const).map((side) => {
    const windows = references.flatMap((r) => r.windows[side]);
    return spread(
      view.windows[side].map((w) => association(w, windows)),
      side,
      grid,
    );
  }) as [number[], number[]];
  const distances = ofPatches.map((d, cell) => (d + small[cell]! + middle[cell]!) / 3);
  const guided = zeroShot(view, text, grid);
  return {
    score: (guided.score + Math.max(...distances)) / 2,
    map: guided.map.map((v, cell) => (v + distances[cell]!) / 2),
  };
}

/** Bilinear between the centres of cells, the outermost repeated; [grid * grid] -> [size * size]. */
export function enlarged(map: readonly number[], grid: number, size: number): number[] {
  const along = (i: number) => {
    const at = Math.min(Math.max(((i + 0.5) * grid) / size - 0.5, 0), grid - 1);
    const low = Math.floor(at);
    return { low, high: Math.min(low + 1, grid - 1), share: at - low };
  };
  return Array.from({ length: size * size }, (_, p) => {
    const [y, x] = [along(Math.floor(p / size)), along(p % size)];
    const row = (r: number) => map[r * grid + x.low]! * (1 - x.share) + map[r * grid + x.high]! * x.share;
    return row(y.low) * (1 - y.share) + row(y.high) * y.share;
  });
}
