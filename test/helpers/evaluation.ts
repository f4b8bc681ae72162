/** An evaluation to draw reports of: phantoms, and maps of a detector that is mostly right, computed from their masks. */
import { type Modality, makePhantom, type Phantom } from '../../src/data/phantoms';
import { noise } from '../../src/data/phantoms/field';
import type { EvaluatedImage, EvaluationRecord } from '../../src/evaluation/record';
import { pixelMetrics, rankingMetrics } from '../../src/metrics';
import { encodeJpeg } from '../../src/platform/node/encode-png';
import { mapContour, maskContour, type PictureSource, reportPictures } from '../../src/report';
import { Random } from '../../src/runtime/random';

export interface Example {
  readonly record: EvaluationRecord;
  readonly pictures: PictureSource;
  /** Indices that pictures were asked for, in order. */
  readonly asked: readonly number[];
}

export interface ExampleOptions {
  readonly count?: number;
  readonly size?: number;
  readonly modality?: Modality;
  readonly masks?: boolean;
  /** Only images of one class: no metric is defined. */
  readonly only?: 'normal' | 'abnormal';
  readonly names?: readonly string[];
  readonly more?: Partial<EvaluationRecord>;
}

/** Maps run from 0 to about this, as those of four stages do. */
export const RANGE = [0, 4] as const;

export async function exampleEvaluation(options: ExampleOptions = {}): Promise<Example> {
  const { count = 60, size = 64, modality = 'brain MRI', masks = true, only, names = [], more } = options;
  const phantoms: Phantom[] = [];
  const maps: Float32Array[] = [];
  const images: EvaluatedImage[] = [];
  for (let i = 0; i < count; i++) {
    const random = new Random(1000 + i);
    const abnormal = only ? only === 'abnormal' : i % 5 < 2;
    const phantom = makePhantom(i, { size, modality, abnormal });
    const map = guess(random, phantom, size);
    const mapMax = map.reduce((most, value) => Math.max(most, value), 0);
    const zeroShot = 0.6 + (abnormal ? 0.35 : 0) + 0.35 * random.normal();
    const fewShot = 0.5 * mapMax + 0.1 * random.normal();
    const folder = abnormal ? 'test/Ungood/img' : 'test/good/img';
    const name = names[i] ?? `${folder}/${modality.replaceAll(' ', '-')}-${String(i).padStart(4, '0')}.png`;
    const parts = { zeroShot, fewShot, mapMax };
    images.push({ name, abnormal, hasMask: masks, score: (zeroShot + fewShot) / 2, parts });
    phantoms.push(phantom);
    maps.push(map);
  }
  const image = rankingMetrics(
    images.map(({ abnormal }) => abnormal),
    images.map(({ score }) => score),
    { resamples: 200 },
  );
  const pixels = {
    async *[Symbol.asyncIterator]() {
      for (let i = 0; i < count; i++)
        yield { map: maps[i]!, mask: phantoms[i]!.mask, width: size, height: size };
    },
  };
  const pixel = masks ? await pixelMetrics(pixels, { resamples: 50 }) : undefined;
  const asked: number[] = [];
  return {
    record: {
      format: 'mla-lp evaluation 1',
      dataset: 'Brain',
      protocol: 'few-shot',
      method: 'mla-lp',
      preset: 'authors',
      selection: 'last-epoch',
      n: count,
      image,
      ...(pixel && { pixel }),
      images,
      failures: [
        {
          name: 'test/good/img/cut-off.png',
          message: 'The file ends in the middle of a picture. Copy it again.',
        },
      ],
      configuration: {
        weights: 'ViT-L-14-336px.safetensors',
        model: 'brain-4shot.safetensors',
        shots: 4,
        imageSize: 240,
        precision: 'f32',
        split: 'test',
        seed: 111,
      },
      versions: { 'mla-lp': '0.1.0', runtime: 'Node 20.19.5', adapter: 'NVIDIA H100 (Vulkan)' },
      commands: [
        'mla-lp train Brain_AD --shots 4 --seed 111 --weights ViT-L-14-336px.safetensors --out brain-4shot.safetensors',
        "mla-lp eval Brain_AD --model brain-4shot.safetensors --weights ViT-L-14-336px.safetensors --out 'results/Brain, 4 shots'",
      ],
      created: '2026-11-25T20:15:00.000Z',
      ...more,
    },
    asked,
    pictures: async (index) => {
      asked.push(index);
      const { image: picture, mask, abnormal } = phantoms[index]!;
      const { original, heatmap } = reportPictures(picture, maps[index]!, size, { range: RANGE });
      const target = { target: original };
      return {
        original: await encodeJpeg(original),
        heatmap: await encodeJpeg(heatmap),
        width: original.width,
        height: original.height,
        ...(masks && abnormal && { truth: maskContour(mask, size, size, target) }),
        ...(pixel && {
          predicted: mapContour(maps[index]!, size, size, pixel.f1max.threshold, target),
        }),
      };
    },
  };
}

/** The mask as a weak detector sees it: blurred, of varying strength, and something where nothing is. */
function guess(random: Random, { mask }: Phantom, size: number): Float32Array {
  const wrong = noise(random, size, [
    [5, 0.5],
    [11, 0.25],
  ]);
  const strength = random.uniform(0.5, 4);
  const radius = Math.max(1, Math.round(size / 24));
  const blurred = Float32Array.from(mask);
  for (const step of [1, size]) {
    const before = Float32Array.from(blurred);
    for (let i = 0; i < before.length; i++) {
      let sum = 0;
      for (let k = -radius; k <= radius; k++) sum += before[i + k * step] ?? 0;
      blurred[i] = sum / (2 * radius + 1);
    }
  }
  return blurred.map((value, i) => Math.min(Math.max(strength * value + 0.6 + wrong[i]!, 0), 4));
}
