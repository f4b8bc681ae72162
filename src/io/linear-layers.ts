/** APRIL-GAN's linear layers: our safetensors and the authors' `.pth` (`{trainable_linearlayer: state_dict}`). */
import { linearName } from '../model/april-gan/graph';
import type { ClipConfig } from '../model/clip-config';
import type { TensorInfo, TensorSource } from '../model/tensor-source';
import { BadFileError } from '../runtime/errors';
import { unwrappedName } from './checkpoint';
import { type Derived, renamed, tensorView } from './tensor-view';

export interface LinearLayers {
  /** The layers' tensors alone, under `linearName`. */
  readonly source: TensorSource;
  readonly stages: number;
}

const REMEDY = 'Use layers that were trained with this CLIP.';

/** Whether a file holds such layers, whatever else. */
export function hasLinearLayers(source: TensorSource): boolean {
  return [...source.tensors.keys()].some((name) => unwrappedName(name) === linearName(0, 'weight'));
}

/** @param name without a wrapper's prefix. */
export function isLinearLayer(name: string): boolean {
  const [stage] = /(?<=\.)\d+(?=\.)/.exec(name) ?? [];
  return (['weight', 'bias'] as const).some((part) => name === linearName(Number(stage), part));
}

/**
 * Finds the layers in an opened file and checks them against the CLIP they are for: weight [embed, width] and bias [embed] a stage.
 * @throws BadFileError when one is missing, has another shape, or the stages do not divide the layers.
 */
export function openLinearLayers(
  source: TensorSource,
  config: Pick<ClipConfig, 'layers' | 'width' | 'embed'>,
): LinearLayers {
  const { label } = source;
  const found = new Map<string, TensorInfo>();
  for (const info of source.tensors.values()) found.set(unwrappedName(info.name), info);
  const derived = new Map<string, Derived>();
  let stages = 0;
  const take = (name: string, want: readonly number[]) => {
    const info = found.get(name);
    if (info?.shape.join() !== want.join()) {
      const fact = info ? `has the shape [${info.shape}], the CLIP needs [${want}]` : 'is missing';
      throw new BadFileError(label, `the tensor ${name} ${fact}`, REMEDY);
    }
    derived.set(name, renamed(source, info, name));
  };
  do {
    take(linearName(stages, 'weight'), [config.embed, config.width]);
    take(linearName(stages, 'bias'), [config.embed]);
    stages++;
  } while (found.has(linearName(stages, 'weight')) || found.has(linearName(stages, 'bias')));
  if (config.layers % stages !== 0)
    throw new BadFileError(
      label,
      `its ${stages} stages do not divide the CLIP's ${config.layers} layers`,
      REMEDY,
    );
  return { source: tensorView(source, derived), stages };
}
