/** `npm run test:full`: ViT-L/14-336 at 240 px with stand-in weights against the float64 reference. Minutes on a CPU. */
import { expect, test } from 'vitest';
import { Clip } from '../../src/model/clip';
import { readClipConfig } from '../../src/model/clip-config';
import { Detector } from '../../src/model/detector';
import { mlaLpGraph } from '../../src/model/mla-lp-graph';
import { AUTHORS } from '../../src/model/presets';
import { syntheticCheckpoint, syntheticClip } from '../../src/model/synthetic';
import { loadWeights } from '../../src/model/weight-loader';
import { madeOf } from '../../src/model/weight-names';
import { BufferStore, lookupIn } from '../../src/runtime/buffer-store';
import { Executable } from '../../src/runtime/executable';
import { plan } from '../../src/runtime/plan';
import { openGolden, relativeError } from '../helpers/goldens';
import { openTestGpu } from '../helpers/gpu';

const gpu = await openTestGpu();
const golden = await openGolden('vitl14/golden.safetensors');
const weights = syntheticClip('vitl14');
const checkpoint = syntheticCheckpoint('vitl14');
const config = readClipConfig(weights);
const images = await golden.read('images');
const SIZE = 240;
const TOLERANCE = 1e-3;
const MB = 1e6;

const integers = async (name: string) => Int32Array.from(await golden.read(name));

test("the image tower's 1.2 GB load within 400 MB of JavaScript memory; the image embedding agrees", async () => {
  const before = process.memoryUsage();
  let peak = 0;
  const clip = new Clip(gpu, weights, config, 'f32', () => {
    const now = process.memoryUsage();
    peak = Math.max(peak, now.heapUsed + now.arrayBuffers - before.heapUsed - before.arrayBuffers);
  });
  const features = await clip.encodeImages(images, SIZE, 'gelu');
  expect(relativeError(features, await golden.read('clip.exact.image_features'))).toBeLessThan(TOLERANCE);
  const quick = await clip.encodeImages(images, SIZE, 'quick_gelu');
  expect(relativeError(quick, await golden.read('clip.quick.image_features'))).toBeLessThan(TOLERANCE);
  expect(peak).toBeGreaterThan(0);
  expect(peak).toBeLessThan(400 * MB);
  clip.vision.destroy();
});

test('preset authors: text columns, stage features, scores, maps', async () => {
  const clip = new Clip(gpu, weights, config, 'f32');
  const contexts = new BufferStore(gpu);
  for (const kind of ['normal', 'abnormal']) {
    const name = `prompt_learner.ctx.${kind}_end`;
    await contexts.create(name, { dtype: 'f32', shape: checkpoint.tensors.get(name)!.shape });
    await contexts.write(name, await checkpoint.read(name));
  }
  const tokens = {
    normal: await integers('prompt_tokens.normal'),
    abnormal: await integers('prompt_tokens.abnormal'),
  };
  const text = await clip.promptColumns(tokens, contexts, 8, { activation: 'gelu', causal: false });
  const columns = await golden.read('authors.text');
  const rows = Float32Array.from(
    columns,
    (_, i) => columns[(i % config.embed) * 2 + Math.floor(i / config.embed)]!,
  );
  expect(relativeError(text, rows)).toBeLessThan(TOLERANCE);
  const sentences = await clip.encodeText(await integers('sentences'), { activation: 'gelu', causal: true });
  expect(relativeError(sentences, await golden.read('clip.exact.text_features'))).toBeLessThan(TOLERANCE);
  clip.releaseText();

  const settings = {
    config,
    preset: AUTHORS,
    activation: AUTHORS.activation,
    dtype: 'f32',
    batch: 1,
    imageSize: SIZE,
  } as const;
  const graph = mlaLpGraph({ ...settings, stages: 4, inspect: true });
  const adapters = new BufferStore(gpu);
  const own = new Map([...graph.weights].filter(([name]) => madeOf(name, checkpoint.tensors)));
  await loadWeights({ weights: own }, adapters, [checkpoint]);
  const frozen = new Map([...graph.weights].filter(([name]) => !own.has(name)));
  await loadWeights({ weights: frozen }, clip.vision, [weights]);
  const executable = await Executable.compile(gpu, plan(graph, gpu.caps), lookupIn(adapters, clip.vision));
  const out = await executable.run({ images, text });
  executable.destroy();
  const scores = await golden.read('authors.scores');
  const maps = await golden.read('authors.maps');
  for (let s = 0; s < 4; s++) {
    for (const head of ['seg', 'det']) {
      const every17th = out[`${head}.${s}`]!.filter((_, i) => Math.floor(i / config.embed) % 17 === 0);
      expect(
        relativeError(every17th, await golden.read(`authors.${head}.${s}`)),
        `${head} ${s}`,
      ).toBeLessThan(TOLERANCE);
    }
    expect(Math.abs(out[`level.${s}`]![1]! / scores[s]! - 1)).toBeLessThan(TOLERANCE);
    const map = out[`stage.${s}`]!.filter((_, i) => i % 2 === 1);
    expect(
      relativeError(map, maps.subarray(s * SIZE * SIZE, (s + 1) * SIZE * SIZE)),
      `map ${s}`,
    ).toBeLessThan(TOLERANCE);
  }

  const detector = await Detector.create(
    clip,
    { method: 'mla-lp', preset: AUTHORS, imageSize: SIZE, text, stages: 4 },
    checkpoint,
  );
  const [detection] = await detector.run([images], 1);
  if (!detection || detection instanceof Error) throw detection;
  expect(relativeError(detection.levels, scores)).toBeLessThan(TOLERANCE);
  await detector.destroy();
});
