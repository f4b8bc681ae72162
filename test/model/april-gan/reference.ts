/** APRIL-GAN in plain float64 loops, written from its equations (Chen et al. 2023, section 2) and the authors' settings. */
import { cosine, linear, type ReferenceTower, softmaxOfSecond, type Vector } from '../reference-tower';

export interface LinearLayer {
  /** [embed, width]. */
  readonly weight: ArrayLike<number>;
  readonly bias: ArrayLike<number>;
}

/** The tokens after each quarter of the blocks, class token first. @param image [3, S, S] as the tower sees it. */
export function stagesOf(tower: ReferenceTower, image: ArrayLike<number>): Vector[][] {
  const tokens = tower.tokens(image);
  return [1, 2, 3, 4].map((i) => tower.blocks(tokens, (tower.layers * i) / 4));
}

/** Cosines times 100 with both text columns. */
function logits(x: Vector, text: ArrayLike<number>): [normal: number, abnormal: number] {
  const column = (k: number) => Array.from({ length: x.length }, (_, e) => text[k * x.length + e]!);
  return [100 * cosine(x, column(0)), 100 * cosine(x, column(1))];
}

/** Bilinear with aligned corners; [grid * grid] -> [size * size]. */
export function alignedResize(field: readonly number[], grid: number, size: number): number[] {
  const along = (i: number) => {
    const at = (i * (grid - 1)) / (size - 1);
    const low = Math.floor(at);
    return { low, high: Math.min(low + 1, grid - 1), share: at - low };
  };
  return Array.from({ length: size * size }, (_, p) => {
    const [y, x] = [along(Math.floor(p / size)), along(p % size)];
    const row = (r: number) => field[r * grid + x.low]! * (1 - x.share) + field[r * grid + x.high]! * x.share;
    return row(y.low) * (1 - y.share) + row(y.high) * y.share;
  });
}

/** P(abnormal) per pixel of one stage. */
export function stageMap(
  tokens: readonly Vector[],
  { weight, bias }: LinearLayer,
  text: ArrayLike<number>,
  grid: number,
  size: number,
): number[] {
  const found = tokens.slice(1).map((token) => logits(linear(token, weight, bias), text));
  const [normal, abnormal] = [0, 1].map((k) =>
    alignedResize(
      found.map((pair) => pair[k]!),
      grid,
      size,
    ),
  ) as [number[], number[]];
  return normal.map((value, p) => softmaxOfSecond(value, abnormal[p]!));
}

/** The zero-shot image score and map. */
export function zeroShot(
  tower: ReferenceTower,
  stages: readonly Vector[][],
  layers: readonly LinearLayer[],
  text: ArrayLike<number>,
) {
  const [normal, abnormal] = logits(tower.embedding(stages[3]![0]!), text);
  const maps = stages.map((tokens, s) => stageMap(tokens, layers[s]!, text, tower.grid, tower.size));
  const map = maps[0]!.map((_, p) => maps.reduce((sum, m) => sum + m[p]!, 0));
  const levels = maps.map((m) => m.reduce((a, b) => a + b, 0) / m.length);
  return { score: softmaxOfSecond(normal, abnormal), map, levels };
}

/** Sum over stages of 1 - cosine to the nearest patch of the references, at image size. */
export function referenceMap(
  tower: ReferenceTower,
  stages: readonly Vector[][],
  references: readonly (readonly Vector[][])[],
): number[] {
  const maps = stages.map((tokens, s) => {
    const bank = references.flatMap((r) => r[s]!.slice(1));
    const distances = tokens.slice(1).map((x) => Math.min(...bank.map((r) => 1 - cosine(x, r))));
    return alignedResize(distances, tower.grid, tower.size);
  });
  return maps[0]!.map((_, p) => maps.reduce((sum, m) => sum + m[p]!, 0));
}

/** Focal (gamma 2, smoothing 1e-5) plus dice of P(abnormal) against a mask, as the authors' loss.py has them; batch means. */
export function segmentationLoss(maps: readonly number[][], masks: readonly ArrayLike<number>[]): number {
  const s = 1e-5;
  let [focal, dice] = [0, 0];
  maps.forEach((map, b) => {
    let [overlap, total] = [0, 0];
    map.forEach((p, i) => {
      const t = masks[b]![i]!;
      const [hit, miss] = t === 1 ? [p, 1 - p] : [1 - p, p];
      const q = (1 - s) * hit + s * miss + s;
      focal -= ((1 - q) ** 2 * Math.log(q)) / (maps.length * map.length);
      overlap += p * t;
      total += p + t;
    });
    dice += (1 - (2 * overlap + 1) / (total + 1)) / maps.length;
  });
  return focal + dice;
}
