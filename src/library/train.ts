import type { DecodeOptions } from '../data/limits';
import { loadSample } from '../data/load-sample';
import { blobBytes } from '../io/bytes';
import { readTrainingState } from '../io/training-state';
import type { Clip } from '../model/clip';
import { presetNamed } from '../model/presets';
import type { PromptSet } from '../model/prompts';
import { crc32 } from '../runtime/crc32';
import { OptionError } from '../runtime/errors';
import { completeOptions, type TrainingOptions } from '../training/options';
import type { TrainingSample } from '../training/samples';
import type { TrainingState } from '../training/state';
import { Trainer } from '../training/trainer';
import { isLazyImage, readInput } from './image-input';
import { openTensors, type WeightsInput } from './load-clip';
import { type ImageInput, platform } from './platform';

/** An image whose label is known. */
export interface TrainingImage {
  readonly image: ImageInput;
  readonly abnormal: boolean;
  /** White (over half) where it is abnormal, of the image's proportions. Normal images need none. */
  readonly mask?: ImageInput;
  /** Name of the data set, where several are given: a batch holds images of one only. */
  readonly group?: string;
}

export interface TrainOptions extends Partial<Omit<TrainingOptions, 'preset'>> {
  /** `authors` follows the released code, `paper` the equations; `authors` unless told. */
  readonly preset?: 'authors' | 'paper';
  /** Methods mvfa and april-gan: sentences of the two text columns, instead of MVFA's ensemble. */
  readonly prompts?: PromptSet;
  /** Methods mvfa and april-gan: what the ensemble calls the object, e.g. "Brain"; "medical image" unless told. */
  readonly object?: string;
  /** What the model's file shall say of the run beside its numbers, under keys of yours: no path, nothing of a patient. */
  readonly about?: Readonly<Record<string, string>>;
  /** Trained adapters and prompts to begin with, instead of fresh ones; formats as for detection. */
  readonly init?: WeightsInput;
  /** A state that `trainer.state()` gave, or a file of one: training goes on there. */
  readonly resume?: TrainingState | WeightsInput;
}

/**
 * Prepares few-shot training of adapters and prompts on a frozen CLIP. Images stay on this machine.
 *
 *     const trainer = await createTrainer(clip, images, { epochs: 20 });
 *     for await (const { step, loss } of trainer.run({ signal })) console.log(step, loss);
 *     const model = await MlaLp.load(clip, { checkpoint: await trainer.checkpoint() });
 *
 * @param images normal and abnormal ones. Where one abnormal image of a group has a mask, the group's normal images count as
 * known to be normal everywhere. Method april-gan leaves out images of which no mask tells anything.
 * @throws OptionError, BadFileError, LimitError before long work begins. Images are read as training needs them.
 */
export async function createTrainer(
  clip: Clip,
  images: readonly TrainingImage[],
  options: TrainOptions = {},
): Promise<Trainer> {
  const { preset, prompts, object, about, init, resume, ...numbers } = options;
  const settings = completeOptions({ ...numbers, preset: presetNamed(preset ?? 'authors') });
  const all = await samplesOf(images, settings.imageSize);
  const samples = settings.method === 'april-gan' ? all.filter(({ hasMask }) => hasMask) : all;
  if (samples.length === 0 && all.length > 0)
    throw new OptionError(
      'Method april-gan learns from masks alone, and no image has one.',
      'Give data with masks.',
    );
  const initial = init === undefined ? undefined : await openTensors(init);
  try {
    const state = resume === undefined ? undefined : await stateOf(resume);
    return await Trainer.create(clip, samples, {
      ...settings,
      ...(prompts && { sentences: prompts }),
      ...(object !== undefined && { object }),
      ...(about && { about }),
      ...(initial && { init: initial }),
      ...(state && { resume: state }),
      spill: (entryBytes) => platform().openSpill(entryBytes),
    });
  } finally {
    await initial?.close();
  }
}

async function stateOf(resume: TrainingState | WeightsInput): Promise<TrainingState> {
  if (typeof resume === 'object' && 'parameters' in resume) return resume;
  const source = await openTensors(resume);
  try {
    return await readTrainingState(source);
  } finally {
    await source.close();
  }
}

/** Samples that decode their image when the trainer asks. @param size px, as the model runs. */
async function samplesOf(images: readonly TrainingImage[], size: number): Promise<TrainingSample[]> {
  const masked = new Set(images.filter((i) => i.mask !== undefined).map((i) => i.group));
  const samples: TrainingSample[] = [];
  for (const [index, { image, abnormal, mask, group }] of images.entries()) {
    const read = (input: ImageInput, options?: DecodeOptions) => readInput(input, index, options);
    samples.push({
      abnormal,
      hasMask: abnormal ? mask !== undefined : masked.has(group),
      identity: `${await imageIdentity(image)} ${mask === undefined ? '' : await imageIdentity(mask)}`,
      ...(group !== undefined && { group }),
      load: () => loadSample({ path: image, ...(abnormal && mask !== undefined && { mask }) }, size, read),
    });
  }
  return samples;
}

/** Bytes of a file's beginning that tell it from another of the same length. */
const HEAD = 64 * 1024;

/**
 * Length and checksum, of a file's first part only: nothing that names the image. A trained model's file lists those of the
 * normal images that it was trained on (`normals`).
 */
export async function imageIdentity(input: ImageInput): Promise<string> {
  if (typeof input === 'string' || input instanceof Blob) {
    const bytes = typeof input === 'string' ? await platform().openFile(input) : blobBytes(input, 'image');
    try {
      return `${bytes.size} ${crc32(await bytes.read(0, Math.min(HEAD, bytes.size)))}`;
    } finally {
      await bytes.close();
    }
  }
  if (input instanceof Uint8Array) return `${input.length} ${crc32(input)}`;
  if (isLazyImage(input)) return imageIdentity(await input.load());
  if (!('data' in input)) return `${input.width}x${input.height}`;
  const { data, width, height } = input;
  return `${width}x${height} ${crc32(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))}`;
}
