/** A small case: the tiny CLIP on 4 x 4 patches, random images, text columns and linear layers. */
import { linearName } from '../../../src/model/april-gan/graph';
import type { TensorInfo, TensorSource } from '../../../src/model/tensor-source';
import { Random } from '../../../src/runtime/random';
import { openGolden } from '../../helpers/goldens';
import { onGrid, ReferenceTower } from '../reference-tower';
import type { LinearLayer } from './reference';

export async function aprilGanCase() {
  const weights = onGrid(await openGolden('tiny/clip.safetensors'), 4);
  const tower = await ReferenceTower.read(weights);
  const random = new Random(11);
  const images = Array.from({ length: 3 }, () =>
    Float32Array.from({ length: 3 * tower.size ** 2 }, () => random.uniform(0, 1)),
  );
  const rows = [0, 1].map(() => Array.from({ length: tower.embed }, () => random.normal()));
  const text = Float32Array.from(rows.flatMap((row) => row.map((v) => v / Math.hypot(...row))));
  const bound = 1 / Math.sqrt(tower.width);
  const uniform = (length: number) => Float32Array.from({ length }, () => random.uniform(-bound, bound));
  const layers: LinearLayer[] = [0, 1, 2, 3].map(() => ({
    weight: uniform(tower.embed * tower.width),
    bias: uniform(tower.embed),
  }));
  return { weights, tower, images, text, layers, checkpoint: sourceOf(layers, tower) };
}

function sourceOf(layers: readonly LinearLayer[], { embed, width }: ReferenceTower): TensorSource {
  const values = new Map<string, Float32Array<ArrayBuffer>>();
  const tensors = new Map<string, TensorInfo>();
  layers.forEach((layer, stage) => {
    for (const part of ['weight', 'bias'] as const) {
      const name = linearName(stage, part);
      values.set(name, Float32Array.from(layer[part]));
      tensors.set(name, { name, dtype: 'F32', shape: part === 'bias' ? [embed] : [embed, width] });
    }
  });
  return {
    label: 'layers',
    metadata: new Map(),
    tensors,
    read: async (name, start = 0, end) => values.get(name)!.slice(start, end),
    close: async () => {},
  };
}
