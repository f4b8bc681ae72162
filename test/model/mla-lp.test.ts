/** The whole model against the float64 reference, tiny case: towers, prompts, stages, scores, maps; both presets. */
import { describe, expect, test } from 'vitest';
import { Clip } from '../../src/model/clip';
import { readClipConfig } from '../../src/model/clip-config';
import { Detector } from '../../src/model/detector';
import { mlaLpGraph } from '../../src/model/mla-lp-graph';
import { presetNamed } from '../../src/model/presets';
import { loadWeights } from '../../src/model/weight-loader';
import { madeOf } from '../../src/model/weight-names';
import { BufferStore, lookupIn } from '../../src/runtime/buffer-store';
import type { Precision } from '../../src/runtime/device';
import { Executable } from '../../src/runtime/executable';
import { plan } from '../../src/runtime/plan';
import { openGolden, relativeError } from '../helpers/goldens';
import { openTestGpu } from '../helpers/gpu';

const gpu = await openTestGpu();
const golden = await openGolden('tiny/golden.safetensors');
const weights = await openGolden('tiny/clip.safetensors');
const init = await openGolden('tiny/init.safetensors');
const config = readClipConfig(weights);
const SIZE = 100;
const BATCH = 4;
const STAGES = 4;

const integers = async (name: string) => Int32Array.from(await golden.read(name));
const images = await golden.read('images');
const TOLERANCE: Record<Precision, number> = { f32: 1e-4, f16: 1e-2 };

/** [C, 2] columns as the rows [2, C] that the engine works with. */
function rows(columns: Float32Array): Float32Array<ArrayBuffer> {
  const width = columns.length / 2;
  return Float32Array.from(columns, (_, i) => columns[(i % width) * 2 + Math.floor(i / width)]!);
}

describe.each(['f32', 'f16'] as const)('%s', (precision) => {
  const missing = precision === 'f16' && !gpu.caps.f16;
  const tolerance = TOLERANCE[precision];

  describe.skipIf(missing)('tiny golden', () => {
    test.each([
      ['exact', 'gelu'],
      ['quick', 'quick_gelu'],
    ] as const)('plain CLIP features, %s GELU', async (name, activation) => {
      const clip = new Clip(gpu, weights, config, precision);
      const imageFeatures = await clip.encodeImages(images, SIZE, activation);
      expect(relativeError(imageFeatures, await golden.read(`clip.${name}.image_features`))).toBeLessThan(
        tolerance,
      );
      const textFeatures = await clip.encodeText(await integers('sentences'), { activation, causal: true });
      expect(relativeError(textFeatures, await golden.read(`clip.${name}.text_features`))).toBeLessThan(
        tolerance,
      );
    });

    test.each(['authors', 'paper'] as const)('preset %s', async (name) => {
      const preset = presetNamed(name);
      const { activation } = preset;
      const clip = new Clip(gpu, weights, config, precision);
      const contexts = new BufferStore(gpu);
      for (const kind of ['normal', 'abnormal']) {
        const tensor = `prompt_learner.ctx.${kind}_end`;
        await contexts.create(tensor, { dtype: 'f32', shape: init.tensors.get(tensor)!.shape });
        await contexts.write(tensor, await init.read(tensor));
      }
      const tokens = {
        normal: await integers('prompt_tokens.normal'),
        abnormal: await integers('prompt_tokens.abnormal'),
      };
      const text = await clip.promptColumns(tokens, contexts, 8, {
        activation,
        causal: preset.causalPrompts,
      });
      expect(relativeError(text, rows(await golden.read(`${name}.text`)))).toBeLessThan(tolerance);

      // Every stage's features and map, with all intermediates poisoned.
      const graph = mlaLpGraph({
        config,
        preset,
        activation,
        dtype: precision,
        batch: BATCH,
        imageSize: SIZE,
        stages: STAGES,
        inspect: true,
      });
      const adapters = new BufferStore(gpu);
      const own = new Map([...graph.weights].filter(([weight]) => madeOf(weight, init.tensors)));
      await loadWeights({ weights: own }, adapters, [init]);
      await loadWeights(graph, clip.vision, [weights, init]);
      const planned = plan(graph, gpu.caps);
      const executable = await Executable.compile(gpu, planned, lookupIn(adapters, clip.vision), {
        poison: true,
      });
      const out = await executable.run({ images, text });
      const maps = await golden.read(`${name}.maps`);
      const stageSize = BATCH * SIZE * SIZE;
      for (let s = 0; s < STAGES; s++) {
        for (const head of ['seg', 'det']) {
          const want = await golden.read(`${name}.${head}.${s}`);
          expect(relativeError(out[`${head}.${s}`]!, want), `${head} ${s}`).toBeLessThan(tolerance);
        }
        const abnormal = out[`stage.${s}`]!.filter((_, i) => i % 2 === 1);
        const want = maps.subarray(s * stageSize, (s + 1) * stageSize);
        expect(relativeError(abnormal, want), `map ${s}`).toBeLessThan(tolerance);
      }
      executable.destroy();

      // The detector's view of the same: scores and the summed map, at two batch sizes.
      const options = { method: 'mla-lp', preset, imageSize: SIZE, text, stages: STAGES } as const;
      const detector = await Detector.create(clip, options, init);
      const pixels = Array.from({ length: BATCH }, (_, b) =>
        images.subarray(b * 3 * SIZE * SIZE, (b + 1) * 3 * SIZE * SIZE),
      );
      const summed = Float32Array.from({ length: stageSize }, (_, i) =>
        [0, 1, 2, 3].reduce((sum, s) => sum + maps[s * stageSize + i]!, 0),
      );
      const scores = await golden.read(`${name}.scores`);
      const whole = await detector.run(pixels, BATCH);
      const padded = [
        ...(await detector.run(pixels.slice(0, 3), 3)),
        ...(await detector.run(pixels.slice(3), 3)),
      ];
      for (const found of [whole, padded]) {
        const detections = found.map((d) => {
          if (d instanceof Error) throw d;
          return d;
        });
        const levels = [0, 1, 2, 3].flatMap((s) => detections.map((d) => d.levels[s]!));
        expect(relativeError(levels, scores)).toBeLessThan(tolerance);
        const map = detections.flatMap((d) => [...d.map]);
        expect(relativeError(map, summed)).toBeLessThan(tolerance);
        for (const d of detections)
          expect(d.score).toBeCloseTo(
            d.levels.reduce((a, b) => a + b),
            6,
          );
      }
      await detector.destroy();
      adapters.destroy();
      contexts.destroy();
    });
  });
});

test('nothing that the outputs do not need is planned', () => {
  const preset = presetNamed('authors');
  const options = {
    config,
    preset,
    activation: preset.activation,
    dtype: 'f32',
    batch: 1,
    imageSize: SIZE,
  } as const;
  const graph = mlaLpGraph({ ...options, stages: STAGES });
  // The last stage's second matrices feed nothing.
  expect(graph.weights.has('seg_adapters.2.fc2.0.weight')).toBe(true);
  expect(graph.weights.has('seg_adapters.3.fc2.0.weight')).toBe(false);
  const { arenas, slots } = plan(graph, gpu.caps);
  const unshared = slots.reduce((sum, slot) => sum + slot.bytes, 0);
  expect(arenas.reduce((a, b) => a + b)).toBeLessThan(unshared / 3);
});
