/** Trained adapters and prompts from any format into ours, or into the files that the authors' code of MVFA and MLA-LP loads. */
import type { TensorSource } from '../model/tensor-source';
import { OptionError } from '../runtime/errors';
import type { SavedTensor } from '../training/state';
import { type CheckpointSizes, checkpointSizes } from './checkpoint';
import { checkFinite, modelChunks } from './training-state';
import { type Picklable, PyFloat, PyOrderedDict } from './write-pickle';
import { TorchFile } from './write-torch';

/** `mla-lp` has learned prompts and room for results, `mvfa` the adapters alone. */
export type TorchLayout = 'mla-lp' | 'mvfa';

/** What a file of trained weights holds, read whole: ViT-L/14 takes 51 MB. */
export interface CheckpointContent {
  readonly sizes: CheckpointSizes;
  /** Under our names. */
  readonly tensors: ReadonlyMap<string, SavedTensor>;
  /** Without what belongs to the file or to a run under way. */
  readonly metadata: ReadonlyMap<string, string>;
}

/** Of the file, or of resuming. */
const NOT_THE_MODELS = new Set(['crc32', 'digest', 'data', 'updates', 'scale']);
/** Numbers of MLA-LP's own files; its code adds to `epoch` and compares with `best`. */
const RESULTS = ['AUC', 'pAUC', 'best'] as const;
const NUMBERS: ReadonlySet<string> = new Set([...RESULTS, 'epoch']);

/** @throws BadFileError where a tensor is missing or has another shape than the rest wants. @throws ValueError for NaN. */
export async function readCheckpoint(source: TensorSource): Promise<CheckpointContent> {
  const { checkpoint, sizes } = checkpointSizes(source);
  const tensors = new Map<string, SavedTensor>();
  for (const { name, shape } of checkpoint.source.tensors.values()) {
    const values = await checkpoint.source.read(name);
    checkFinite(name, values);
    tensors.set(name, { shape, values });
  }
  const metadata = new Map<string, string>();
  for (const [key, value] of source.metadata) {
    // A result of 0 is how a file says that it knows none.
    if (NOT_THE_MODELS.has(key) || (NUMBERS.has(key) && Number(value) === 0)) continue;
    metadata.set(key, key === 'format' && value === 'mla-lp-training' ? 'mla-lp' : value);
  }
  return { sizes, tensors, metadata };
}

/** Our own file: tensors and metadata sorted, with checksums. */
export function safetensorsCheckpoint({ tensors, metadata }: CheckpointContent): Generator<Uint8Array> {
  return modelChunks({ parameters: tensors, slots: new Map(), metadata });
}

/**
 * A file of torch.save. `mvfa`: `{seg_adapters, det_adapters}`. `mla-lp`: `{state_dict: {seg_adapters, det_adapters,
 * prompt_learner}, AUC, pAUC, best, epoch}`, results 0 where none are known, and the metadata, which the authors' code
 * does not look at, as further strings. The last stage's second matrices, which nothing follows, are zeros where the checkpoint
 * has none: `load_state_dict` wants them.
 * @throws OptionError for `mla-lp` without prompts.
 */
export function torchCheckpoint(content: CheckpointContent, layout: TorchLayout): Generator<Uint8Array> {
  const { sizes, tensors, metadata } = content;
  const file = new TorchFile();
  const adapters = (head: string) => {
    const entries = new Map<string, Picklable>();
    for (let stage = 0; stage < sizes.stages; stage++) {
      for (const layer of ['fc1', 'fc2']) {
        const name = `${stage}.${layer}.0.weight`;
        const tensor = tensors.get(`${head}_adapters.${name}`) ?? zeros(sizes);
        entries.set(name, file.tensor(tensor));
      }
    }
    return new PyOrderedDict(entries);
  };
  const heads = new Map<string, Picklable>([
    ['seg_adapters', adapters('seg')],
    ['det_adapters', adapters('det')],
  ]);
  if (layout === 'mvfa') return file.chunks(heads);
  const names = ['ctx.normal_end', 'ctx.abnormal_end'];
  const prompts = names.map((name) => [name, tensors.get(`prompt_learner.${name}`)] as const);
  const learner = new Map<string, Picklable>();
  for (const [name, tensor] of prompts) {
    if (!tensor) {
      throw new OptionError(
        'The checkpoint has no learned prompts, which MLA-LP’s layout needs.',
        'Write it in MVFA’s layout: --format mvfa.',
      );
    }
    learner.set(name, file.tensor(tensor));
  }
  heads.set('prompt_learner', new PyOrderedDict(learner));
  const known = (key: string) => Number(metadata.get(key) ?? 0);
  const epoch = known('epoch');
  const others = [...metadata].filter(([key]) => !NUMBERS.has(key) && key !== 'state_dict');
  return file.chunks(
    new Map<string, Picklable>([
      ['state_dict', heads],
      ...RESULTS.map((key) => [key, new PyFloat(known(key))] as const),
      ['epoch', Number.isSafeInteger(epoch) ? epoch : 0],
      ...others,
    ]),
  );
}

function zeros({ width, embed }: CheckpointSizes): SavedTensor {
  return { shape: [width, embed], values: new Float32Array(width * embed) };
}

/** What the file's ending asks for. @throws OptionError for others. */
export function formatOfPath(path: string): 'safetensors' | 'torch' {
  if (/\.safetensors$/i.test(path)) return 'safetensors';
  if (/\.pth?$/i.test(path)) return 'torch';
  throw new OptionError(`${path}: the ending tells no format.`, 'Name it .pth, .pt or .safetensors.');
}
