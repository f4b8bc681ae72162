/** WinCLIP as graphs (Jeong et al. 2023, section 4): embeddings of the image and of its windows, and their scores. */
import { classSum } from '../../kernels/class-sum/class-sum';
import { cosineLogits } from '../../kernels/cosine-logits/cosine-logits';
import { gatherRows } from '../../kernels/gather-rows/gather-rows';
import { l2Normalize } from '../../kernels/l2-normalize/l2-normalize';
import { nearestDistance } from '../../kernels/nearest-distance/nearest-distance';
import { reduce } from '../../kernels/reduce/reduce';
import { resizeBilinear } from '../../kernels/resize-bilinear/resize-bilinear';
import { softmax } from '../../kernels/softmax/softmax';
import { weightedSum } from '../../kernels/weighted-sum/weighted-sum';
import { windowHarmonic } from '../../kernels/window-harmonic/window-harmonic';
import { Graph, type Tensor } from '../../runtime/graph';
import { gridFor } from '../clip-config';
import { type ClipGraphOptions, project } from '../clip-graph';
import { ABNORMAL } from '../heads';
import type { ReferenceBank, ReferenceGraph } from '../reference-bank';
import { embedImages, visionBlock } from '../vision-tower';
import { classRows, WINDOW_SIDES, windowRows, windowsAlong } from './windows';

/** The temperature of eq. 1 as its public implementations have it: CLIP's initial one (Radford et al. 2021). */
const TEMPERATURE = 0.07;

/** What WinCLIP sees of a batch of images. */
export interface WinClipFeatures {
  /** f32 [B, embed]: class token of the whole image, projected. */
  readonly image: Tensor;
  /** f32 [B, n * n, embed] per side of `WINDOW_SIDES`: class tokens of the windows' own passes, projected. */
  readonly windows: readonly Tensor[];
  /** [B, 1 + P, width]: the last block's tokens, before ln_post and projection. */
  readonly tokens: Tensor;
}

/** The inputs that say which tokens are gathered; they depend on shapes only. */
export function rowInputs(options: ClipGraphOptions): Record<string, Uint32Array<ArrayBuffer>> {
  const { batch, config, imageSize } = options;
  const grid = gridFor(config, imageSize);
  const inputs: Record<string, Uint32Array<ArrayBuffer>> = { classes: classRows(batch, 1 + grid * grid) };
  for (const side of WINDOW_SIDES) {
    const count = batch * windowsAlong(grid, side) ** 2;
    inputs[`rows.${side}`] = windowRows(batch, grid, side);
    inputs[`classes.${side}`] = classRows(count, 1 + side * side);
  }
  return inputs;
}

/**
 * Each window passes the tower alone: its patches' tokens, position embeddings included, and the class token (section 4.2). All
 * windows of a side are one batch of short sequences. LayerNorm looks at one token, so ln_pre may come before the gathering.
 * @param images f32 [B, 3, S, S].
 */
export function winClipFeatures(g: Graph, images: Tensor, options: ClipGraphOptions): WinClipFeatures {
  const { config, batch, imageSize } = options;
  const { width, embed } = config;
  const grid = gridFor(config, imageSize);
  const embedded = g.scope('embed', () => embedImages(g, images, options));
  const all = g.reshape(embedded, [batch * (1 + grid * grid), width]);
  /** All blocks over sequences, and the class tokens' embeddings. */
  const pass = (x: Tensor, classes: string): { tokens: Tensor; embeddings: Tensor } => {
    const [count, length] = x.shape as readonly [number, number, number];
    let tokens = x;
    for (let block = 0; block < config.layers; block++) tokens = visionBlock(g, tokens, block, options);
    const rows = g.input(classes, 'u32', [count]);
    const picked = gatherRows(g, g.reshape(tokens, [count * length, width]), rows);
    return { tokens, embeddings: project(g, picked, options, 'f32') };
  };
  const whole = pass(embedded, 'classes');
  const windows = WINDOW_SIDES.map((side) =>
    g.scope(`windows${side}`, () => {
      const [count, length] = [windowsAlong(grid, side) ** 2, 1 + side * side];
      const rows = g.input(`rows.${side}`, 'u32', [batch * count * length]);
      const picked = g.reshape(gatherRows(g, all, rows), [batch * count, length, width]);
      return g.reshape(pass(picked, `classes.${side}`).embeddings, [batch, count, embed]);
    }),
  );
  return { image: whole.embeddings, windows, tokens: whole.tokens };
}

/** P(abnormal) of embeddings (eq. 1); f32 [B, N, embed] x f32 [2, embed] -> f32 [B, N]. */
function abnormality(g: Graph, embeddings: Tensor, text: Tensor): Tensor {
  const logits = cosineLogits(g, embeddings, text, { scale: 1 / TEMPERATURE, skip: 0 });
  return classSum(g, [softmax(g, logits)], ABNORMAL);
}

/** Scores [B, n * n] as squares [B, n, n]. */
function square(g: Graph, scores: Tensor): Tensor {
  const [batch, count] = scores.shape as readonly [number, number];
  const n = Math.sqrt(count);
  return g.reshape(scores, [batch, n, n]);
}

/** Output of the reference graph, and part of the bank, for windows of a side. */
function windowFeature(side: number): string {
  return `windows.${side}`;
}

/** What few-shot WinCLIP keeps of a normal image: patches and windows (section 4.3), as unit rows. */
export function winClipReferences(
  options: Omit<ClipGraphOptions, 'batch'>,
  normalise: boolean,
): ReferenceGraph {
  const { config, imageSize } = options;
  const single = { ...options, batch: 1 };
  const g = new Graph();
  const images = g.input('images', 'f32', [1, 3, imageSize, imageSize]);
  const { tokens, windows } = winClipFeatures(g, images, single);
  const grid = gridFor(config, imageSize);
  g.output('patches', l2Normalize(g, tokens));
  windows.forEach((embeddings, i) => {
    g.output(windowFeature(WINDOW_SIDES[i]!), l2Normalize(g, embeddings));
  });
  const features = [
    { name: 'patches', rows: grid * grid, skip: 1, cols: config.width },
    ...WINDOW_SIDES.map((side) => ({
      name: windowFeature(side),
      rows: windowsAlong(grid, side) ** 2,
      skip: 0,
      cols: config.embed,
    })),
  ];
  return { graph: g, inputs: rowInputs(single), features, imageSize, normalise };
}

/**
 * Reference association (section 4.3, eq. 4): (1 - cos) / 2 to the nearest reference, of patches and, spread harmonically, of
 * windows; the mean of the three maps (eq. 5). -> f32 [B, grid, grid].
 */
function association(
  g: Graph,
  { tokens, windows }: WinClipFeatures,
  bank: ReferenceBank,
  grid: number,
): Tensor {
  const patches = nearestDistance(g, tokens, bank.tensors(g, 'patches'), { skip: 1 });
  const spread = windows.map((embeddings, i) => {
    const tiles = bank.tensors(g, windowFeature(WINDOW_SIDES[i]!));
    return windowHarmonic(g, [square(g, nearestDistance(g, embeddings, tiles, { skip: 0 }))], grid);
  });
  const maps = [square(g, patches), ...spread];
  // The half of eq. 4 passes through a harmonic mean.
  return weightedSum(
    g,
    maps,
    maps.map(() => 1 / (2 * maps.length)),
  );
}

/** A map [B, grid, grid] at image size, bilinear; -> f32 [B, S, S]. */
function enlarge(g: Graph, map: Tensor, size: number): Tensor {
  const [batch, grid] = map.shape as readonly [number, number, number];
  const field = g.reshape(map, [batch, grid, grid, 1]);
  return g.reshape(resizeBilinear(g, field, size, size, 'halved'), [batch, size, size]);
}

/**
 * Inputs: images f32 [B, 3, S, S]; text f32 [2, embed], unit rows, normal first; those of `rowInputs`.
 * Outputs: score f32 [B] and map f32 [B, S, S]. Zero-shot: P(abnormal) of the image (section 4.1); the harmonic mean over windows
 * that cover a patch, then over the two sides and the image's score (eq. 2, section 4.2), bilinear. With references: half that map
 * and half the association; half that score and half the association's maximum (section 4.3, eq. 6).
 */
export function winClipGraph(options: ClipGraphOptions, bank?: ReferenceBank): Graph {
  const { config, batch, imageSize } = options;
  const grid = gridFor(config, imageSize);
  const g = new Graph();
  const images = g.input('images', 'f32', [batch, 3, imageSize, imageSize]);
  const text = g.input('text', 'f32', [2, config.embed]);
  const features = winClipFeatures(g, images, options);
  const score = abnormality(g, g.reshape(features.image, [batch, 1, config.embed]), text);
  const scores = [score, ...features.windows.map((embeddings) => abnormality(g, embeddings, text))];
  const map = windowHarmonic(
    g,
    scores.map((s) => square(g, s)),
    grid,
  );
  const half = (a: Tensor, b: Tensor) => weightedSum(g, [a, b], [0.5, 0.5]);
  const distances = bank && g.scope('references', () => association(g, features, bank, grid));
  const worst = distances && reduce(g, g.reshape(distances, [batch, grid * grid]), 1, 'max');
  const single = g.reshape(score, [batch]);
  g.output('score', worst ? half(single, worst) : single);
  g.output('map', enlarge(g, distances ? half(map, distances) : map, imageSize));
  return g;
}
