/** Trained adapters and prompts: our safetensors, MVFA's and MLA-LP's `.pth`, all under our names. */
import type { ClipConfig } from '../model/clip-config';
import type { TensorInfo, TensorSource } from '../model/tensor-source';
import { BadFileError } from '../runtime/errors';
import { shownName } from './safetensors-header';
import { type Derived, renamed, tensorView } from './tensor-view';

export interface Checkpoint {
  /** The adapters' and prompts' tensors alone, under our names. */
  readonly source: TensorSource;
  readonly stages: number;
  /** Whether learned prompts are there (MVFA has none). */
  readonly hasPrompts: boolean;
}

type Dimensions = Pick<ClipConfig, 'layers' | 'width' | 'embed' | 'textWidth' | 'context'>;

/** What training scripts wrap their weights in. */
const WRAPPERS = /^(?:(?:state_dict|model_state_dict|module|model)\.)+/;
const ADAPTER = /^(?:seg|det)_adapters\.(\d{1,6})\.fc[12]\.0\.weight$/;
const PROMPTS = {
  'prompt_learner.ctx.normal_end': 10,
  'prompt_learner.ctx.abnormal_end': 11,
} as const;
const REMEDY = 'Use a checkpoint that was trained with this CLIP.';

/** A name without `state_dict.`, `module.` and `model.` in front. */
export function unwrappedName(name: string): string {
  return name.replace(WRAPPERS, '');
}

function collect(origin: TensorSource): Map<string, TensorInfo> {
  const found = new Map<string, TensorInfo>();
  for (const info of origin.tensors.values()) {
    const name = unwrappedName(info.name);
    if (!ADAPTER.test(name) && !Object.hasOwn(PROMPTS, name)) continue;
    const other = found.get(name);
    if (other) {
      const both = `${shownName(other.name)} and ${shownName(info.name)}`;
      throw new BadFileError(origin.label, `${both} both stand for ${name}`, 'Keep one of them.');
    }
    found.set(name, info);
  }
  return found;
}

function countStages(label: string, names: Iterable<string>, layers: number): number {
  let stages = 0;
  for (const name of names) {
    const match = ADAPTER.exec(name);
    if (match) stages = Math.max(stages, Number(match[1]) + 1);
  }
  if (stages === 0) {
    throw new BadFileError(
      label,
      'it holds no adapters (seg_adapters.0.fc1.0.weight and so on)',
      'Give CLIP weights as --weights, and trained adapters as --checkpoint.',
    );
  }
  if (layers % stages !== 0)
    throw new BadFileError(label, `its ${stages} stages do not divide the CLIP's ${layers} layers`, REMEDY);
  return stages;
}

function checkShape(
  label: string,
  info: TensorInfo | undefined,
  name: string,
  want: readonly number[],
): void {
  if (!info) throw new BadFileError(label, `the tensor ${name} is missing`, REMEDY);
  if (info.shape.length !== want.length || want.some((n, i) => n !== info.shape[i])) {
    const fact = `the tensor ${name} has the shape [${info.shape}], the CLIP needs [${want}]`;
    throw new BadFileError(label, fact, REMEDY);
  }
}

/** @returns whether prompts are there. */
function checkPrompts(label: string, found: ReadonlyMap<string, TensorInfo>, config: Dimensions): boolean {
  const names = Object.keys(PROMPTS) as (keyof typeof PROMPTS)[];
  const present = names.map((name) => found.get(name)).find((info) => info !== undefined);
  if (!present) return false;
  const vectors = present.shape[1] ?? 0;
  if (vectors < 1 || vectors > config.context - 2) {
    const fact = `its prompts have ${vectors} context vectors, the CLIP has ${config.context} positions`;
    throw new BadFileError(label, fact, REMEDY);
  }
  for (const name of names)
    checkShape(label, found.get(name), name, [PROMPTS[name], vectors, config.textWidth]);
  return true;
}

/**
 * Finds adapters and learned prompts in an opened file and checks them against the CLIP they are for:
 * `{seg,det}_adapters.N.fc1.0.weight` [embed, width], `.fc2.0.weight` [width, embed] (the last stage's may be absent:
 * nothing follows it), `prompt_learner.ctx.{normal,abnormal}_end` [10 or 11, vectors, textWidth].
 * @throws BadFileError when one is missing, has another shape, or the stages do not divide the layers.
 */
export function openCheckpoint(source: TensorSource, config: Dimensions): Checkpoint {
  const { label } = source;
  const found = collect(source);
  const stages = countStages(label, found.keys(), config.layers);
  for (const head of ['seg', 'det']) {
    for (let stage = 0; stage < stages; stage++) {
      const [fc1, fc2] = [1, 2].map((n) => `${head}_adapters.${stage}.fc${n}.0.weight`) as [string, string];
      checkShape(label, found.get(fc1), fc1, [config.embed, config.width]);
      if (found.has(fc2) || stage < stages - 1)
        checkShape(label, found.get(fc2), fc2, [config.width, config.embed]);
    }
  }
  const hasPrompts = checkPrompts(label, found, config);
  const derived = new Map<string, Derived>();
  for (const [name, info] of found) derived.set(name, renamed(source, info, name));
  return { source: tensorView(source, derived), stages, hasPrompts };
}

/** Sizes of adapters and prompts, as a checkpoint's own tensors tell them. */
export interface CheckpointSizes {
  readonly stages: number;
  /** Of the image tower and of the joint embedding. */
  readonly width: number;
  readonly embed: number;
  /** Context vectors of a prompt and their width, where there are learned prompts. */
  readonly promptVectors?: number;
  readonly textWidth?: number;
}

/**
 * Opens a checkpoint whose CLIP is not known: its shapes are checked against each other.
 * @throws BadFileError as `openCheckpoint`.
 */
export function checkpointSizes(source: TensorSource): { checkpoint: Checkpoint; sizes: CheckpointSizes } {
  const shapes = new Map([...source.tensors.values()].map(({ name, shape }) => [unwrappedName(name), shape]));
  const [embed = 0, width = 0] = shapes.get('seg_adapters.0.fc1.0.weight') ?? [];
  const [, vectors = 0, textWidth = 0] = shapes.get('prompt_learner.ctx.normal_end') ?? [];
  const numbers = [...shapes.keys()].flatMap((name) => ADAPTER.exec(name)?.[1] ?? []);
  const stages = Math.max(1, ...new Set(numbers.map((n) => Number(n) + 1)));
  const checkpoint = openCheckpoint(source, {
    layers: stages,
    width,
    embed,
    textWidth,
    context: vectors + 2,
  });
  const prompts = checkpoint.hasPrompts ? { promptVectors: vectors, textWidth } : {};
  return { checkpoint, sizes: { stages: checkpoint.stages, width, embed, ...prompts } };
}
