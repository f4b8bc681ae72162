/**
 * Trains adapters and prompts of MLA-LP, or what another method trains (`methods.ts`), on one device: frozen CLIP, our own
 * backward, the optimiser on the GPU. Knows samples as numbers only; files, images and screens are the callers'.
 */
import { checkMatrixUnits } from '../kernels/matrix-check';
import { augmentations } from '../kernels/warp/augmentations';
import type { Clip } from '../model/clip';
import { tokensOf } from '../model/clip-config';
import { packImages } from '../model/clip-pixels';
import { sha256, weightsIdentity } from '../model/identity';
import { type BankTensor, bankTensors } from '../model/memory-bank-tensors';
import type { PromptSet } from '../model/prompts';
import { COLUMNS, columnsText } from '../model/saved-columns';
import type { Spill } from '../model/spill';
import { elementCount, type TensorSource } from '../model/tensor-source';
import { BufferStore } from '../runtime/buffer-store';
import {
  AbortedError,
  BadFileError,
  LimitError,
  OptionError,
  OutOfMemoryError,
  ValueError,
} from '../runtime/errors';
import type { DeviceSlice, Executable, OutputData, RunInput } from '../runtime/executable';
import { type Batch, BatchOrder } from './batches';
import { FeatureCache } from './feature-cache';
import { chooseRecomputation, DEFAULT_BUDGET, describeChoice, type MemoryChoice } from './memory';
import { bankGraph } from './memory-bank';
import { type TrainedMethod, trainedMethod } from './methods';
import { completeOptions, type TrainingOptions } from './options';
import { contextName, initialValues, type Parameter, type ParameterGroup } from './parameters';
import { checkResumable, kernelsIdentity, kernelsNote, numericConfig } from './resumable';
import type { TrainingSample } from './samples';
import { rateFactor } from './schedule';
import type { SavedTensor, TrainingState } from './state';
import {
  columnsGraph,
  gradientName,
  type LossKind,
  lossName,
  lossShape,
  type StepGraphOptions,
  trainedParameters,
} from './step-graph';
import { type TextSide, textSide } from './text-side';
import { normsName, SLOTS, slotName, updateGraph } from './update-graph';

/** What one step did. Losses are those before its update. */
export interface StepRecord {
  /** From 1. */
  readonly step: number;
  /** From 1. */
  readonly epoch: number;
  /** det + seg. */
  readonly loss: number;
  /** Detection loss, the sum over stages. */
  readonly det: number;
  /** Segmentation loss, focal + dice, the sum over stages; 0 for a batch without masks. */
  readonly seg: number;
  readonly focal: number;
  readonly dice: number;
  /** Euclidean norm of all gradients together, before clipping. */
  readonly gradientNorm: number;
  /** Learning rate of the adapters. */
  readonly rate: number;
  /** Images in the batch. */
  readonly images: number;
  /**
   * Wall-clock time until the device has all of the step (reading images, frozen blocks where features are not kept yet, and in a
   * first step compiling), from then until its gradients are computed, and until the update is read back.
   */
  readonly ms: { readonly prepare: number; readonly gradient: number; readonly update: number };
}

export interface TrainerSettings extends Partial<TrainingOptions> {
  /** Initial adapters and prompts under our names, instead of fresh ones. */
  readonly init?: TensorSource;
  /** Goes on from here. The options must be those of the saved run. */
  readonly resume?: TrainingState;
  /** Methods mvfa and april-gan: sentences of the text columns; else MVFA's ensemble for `object`. */
  readonly sentences?: PromptSet;
  /** Methods mvfa and april-gan: what the ensemble calls the object, e.g. "Brain"; "medical image" unless told. */
  readonly object?: string;
  /** What the model's file shall say of the run beside its numbers, under keys of the caller's: no path, nothing of a patient. */
  readonly about?: Readonly<Record<string, string>>;
  /** Takes cached features that the device has no room for; without it they are computed again. */
  readonly spill?: (entryBytes: number) => Promise<Spill>;
}

/** Gradients in f16 are multiplied by this at first, so that small ones do not vanish; halved where large ones overflow. */
const FIRST_SCALE = 4096;
const LARGEST_SCALE = 65536;
/** Steps without overflow after which the scale doubles (Micikevicius et al. 2018, section 3.2). */
const PATIENCE = 500;

/** Bytes of inputs that may be handed over to the device before it has used them. */
const MOST_QUEUED = 64 * 1024 * 1024;

/** Bytes of decoded masks that stay in memory. */
const MASK_BYTES = 512 * 1024 * 1024;

type Groups = Record<ParameterGroup, number>;

interface Loaded {
  readonly pixels: Float32Array;
  readonly mask?: Uint8Array;
}

export class Trainer {
  /** Steps done. */
  step = 0;
  readonly #order: BatchOrder;
  readonly #method: TrainedMethod;
  readonly #versions: readonly (readonly number[])[];
  readonly #masks = new Map<number, Uint8Array>();
  #maskBytes = 0;
  /** Images on their way, so that reading overlaps computing. */
  readonly #loads = new Map<number, Promise<Loaded>>();
  readonly #updates: Groups = { seg: 0, det: 0, prompts: 0 };
  /** Text columns as they were computed last. */
  #kept: { readonly step: number; readonly columns: string | undefined } | undefined;
  #scale: number;
  #calm = 0;
  #note: string | undefined;
  /** A step was handed over and not seen to end: where the device failed, nobody knows what it changed. */
  #underway = false;
  readonly #executables = new Map<string, Promise<Executable>>();
  readonly #releaseText: () => void;
  #busy = false;

  private constructor(
    readonly clip: Clip,
    private readonly samples: readonly TrainingSample[],
    readonly options: TrainingOptions,
    private readonly graph: Omit<StepGraphOptions, 'masks'>,
    private readonly store: BufferStore,
    private readonly cache: FeatureCache,
    /** What the largest step takes. */
    readonly memory: MemoryChoice,
    private readonly identities: { readonly weights: string; readonly data: string },
    /** Metadata that only says what was. */
    private readonly about: ReadonlyMap<string, string>,
  ) {
    this.#method = trainedMethod(options.method);
    this.#versions = options.augment ? augmentations().map(({ matrix }) => matrix) : [[]];
    const groups = samples.flatMap(({ group = '' }) => this.#versions.map(() => group));
    this.#order = new BatchOrder(groups, options);
    this.#scale = clip.precision === 'f16' ? FIRST_SCALE : 1;
    this.#releaseText = graph.prompts ? clip.holdText() : () => clip.releaseText();
  }

  /**
   * Plans the step, uploads weights and initial values. Nothing is trained yet.
   * @throws OptionError, LimitError, BadFileError before long work begins.
   */
  static async create(
    clip: Clip,
    samples: readonly TrainingSample[],
    settings: TrainerSettings = {},
  ): Promise<Trainer> {
    const { init, resume, spill, sentences, object, about, ...given } = settings;
    const options = completeOptions(given);
    const { method, preset, imageSize, stages } = options;
    if (!samples.some((s) => s.abnormal) || !samples.some((s) => !s.abnormal)) {
      throw new OptionError('Training needs normal and abnormal images.', 'Give at least one of each.');
    }
    const { gpu, config, precision } = clip;
    if (precision === 'f16' || gpu.tuning) await checkMatrixUnits(gpu, { training: true });
    const text = await textSide(clip, options, sentences, object);
    const kind = trainedMethod(method);
    if (!kind.labels && !samples.every((s) => s.hasMask))
      throw new OptionError(
        `Method ${method} learns from masks alone.`,
        'Give images of data sets with masks.',
      );
    const parameters = kind.parameters(config, options);
    const items = samples.length * (options.augment ? augmentations().length : 1);
    const batch = Math.min(options.microBatch || options.batch, options.batch, items);
    const graph: Omit<StepGraphOptions, 'masks'> = {
      config,
      activation: preset.activation,
      dtype: precision,
      adapterDtype: 'f32',
      preset,
      batch,
      imageSize,
      stages,
      augment: options.augment,
      ...('learned' in text && {
        prompts: { counts: text.learned.counts, length: text.learned.length },
      }),
      parameters,
      recompute: 0,
    };
    const masks = samples.some((s) => s.hasMask);
    const slots = SLOTS[options.optimiser];
    const trained = trainedParameters(parameters, true);
    const trainedBytes = trained.reduce((sum, { shape }) => sum + 4 * elementCount(shape), 0);
    // Some batches may hold no mask at all: those steps are another graph.
    const variants = masks && samples.some((s) => !s.hasMask) ? [true, false] : [masks];
    const prefix = kind.prefix({ ...graph, masks });
    const memory = chooseRecomputation({
      build: (recompute) => [
        ...variants.map((some) => kind.step({ ...graph, masks: some, recompute })),
        prefix,
      ],
      blocks: kind.blocks({ ...graph, masks }),
      caps: gpu.caps,
      budget: options.memory,
      beside: slots.length * trainedBytes,
    });
    const identities = {
      weights: await weightsIdentity(clip.source),
      data: await sha256(samples.map((s) => `${s.identity} ${s.abnormal} ${s.hasMask}`).join('\n')),
    };
    if (resume) checkResumable(resume, options, identities, precision, text);
    const tensors = kind.features(stages).length;
    const entryBytes = tensors * tokensOf(graph) * config.width * (precision === 'f16' ? 2 : 4);
    const spare = options.memory || !memory.spare ? memory.spare : Math.min(memory.spare, DEFAULT_BUDGET);
    const room = Math.floor(spare / entryBytes) >= items;
    const cache = new FeatureCache(
      gpu,
      { entryBytes, deviceBytes: spare, batch, items },
      room ? undefined : await spill?.(entryBytes),
    );
    const store = new BufferStore(gpu);
    const trainer = new Trainer(
      clip,
      samples,
      options,
      { ...graph, recompute: memory.recompute },
      store,
      cache,
      memory,
      identities,
      new Map([...Object.entries(about ?? {}), ...('said' in text ? [text.said] : [])]),
    );
    try {
      await trainer.#fillStore(text, init, resume);
      return trainer;
    } catch (error) {
      await trainer.destroy();
      throw error;
    }
  }

  /** Steps of the whole run. */
  get totalSteps(): number {
    return this.options.steps || this.options.epochs * this.#order.stepsPerEpoch;
  }

  get stepsPerEpoch(): number {
    return this.#order.stepsPerEpoch;
  }

  /**
   * What the step takes on the device, what was chosen to make it fit, and whether a resumed run repeats to rounding only; in sentences.
   */
  describe(): string {
    const items = this.samples.length * this.#versions.length;
    const cached = Math.min(items, this.cache.residentCapacity);
    const features = `Features of ${cached} of ${items} image versions stay on the device.`;
    return [describeChoice(this.memory), features, this.#note].filter((text) => text !== undefined).join(' ');
  }

  /**
   * Runs the remaining steps, one record each. Stops between steps when the signal fires.
   * @throws AbortedError; ValueError for a loss or gradient that is not finite (nothing was updated then); DeviceLostError.
   */
  async *run(options: { readonly signal?: AbortSignal } = {}): AsyncGenerator<StepRecord, void, undefined> {
    if (this.#busy) throw new OptionError('This trainer is running already.', 'Use one loop a trainer.');
    this.#assertWhole();
    this.#busy = true;
    try {
      while (this.step < this.totalSteps) {
        if (options.signal?.aborted) throw new AbortedError();
        yield await this.#advance();
      }
    } finally {
      this.#busy = false;
      this.#loads.clear();
    }
  }

  /** Everything a resumed run needs, or with `model` only what detection needs. Call it between steps. */
  async state(what: 'training' | 'model' = 'training'): Promise<TrainingState> {
    this.#assertWhole();
    const { parameters } = this.graph;
    const values = new Map<string, SavedTensor>();
    for (const { name, shape } of parameters)
      values.set(name, { shape, values: await this.store.read(name) });
    const slots = new Map<string, SavedTensor>();
    if (what === 'training') {
      for (const { name, shape } of this.#slotted()) {
        for (const slot of SLOTS[this.options.optimiser]) {
          const tensor = slotName(slot, name);
          slots.set(tensor, { shape, values: await this.store.read(tensor) });
        }
      }
    }
    const { method, preset, imageSize, seed, epochs } = this.options;
    const metadata = new Map<string, string>([
      ...this.about,
      ['format', what === 'training' ? 'mla-lp-training' : 'mla-lp'],
      ['version', '1'],
      ['method', method],
      ['preset', preset.name],
      ['imageSize', String(imageSize)],
      ['precision', this.clip.precision],
      ['seed', String(seed)],
      ['step', String(this.step)],
      ['steps', String(this.totalSteps)],
      ['epochs', String(epochs)],
      ['weights', this.identities.weights],
      ['config', numericConfig(this.options)],
    ]);
    if (what === 'training') {
      metadata.set('data', this.identities.data);
      metadata.set('kernels', kernelsIdentity(this.clip.gpu));
      metadata.set('updates', JSON.stringify(this.#updates));
      metadata.set('scale', JSON.stringify({ value: this.#scale, calm: this.#calm }));
    } else if (this.graph.prompts) {
      const columns = await this.#columns(values);
      if (columns !== undefined) metadata.set(COLUMNS, columns);
    }
    if (what === 'model' && this.samples.every(({ group }) => group === undefined)) {
      // The memory bank can be made again from these.
      const normals = this.samples.filter(({ abnormal }) => !abnormal).map((s) => s.identity.trim());
      metadata.set('normals', JSON.stringify(normals));
    }
    return { parameters: values, slots, metadata };
  }

  /** @throws OptionError within a step, and after one that failed when the device had it: nobody knows what it changed. */
  #assertWhole(): void {
    if (!this.#underway) return;
    throw new OptionError(
      `Step ${this.step + 1} has not ended, or failed midway: its parameters are of no use.`,
      'Wait for the step; after a failure go on from the last saved state.',
    );
  }

  /**
   * Text columns of the present prompts, for the model's file; undefined where the device has no room for them beside the training: a
   * model without them is as good.
   * @throws DeviceLostError
   */
  async #columns(values: ReadonlyMap<string, SavedTensor>): Promise<string | undefined> {
    if (this.#kept?.step === this.step) return this.#kept.columns;
    const columns = await this.#computeColumns(values).catch((error: unknown) => {
      if (error instanceof OutOfMemoryError || error instanceof LimitError) return undefined;
      throw error;
    });
    this.#kept = { step: this.step, columns };
    return columns;
  }

  async #computeColumns(values: ReadonlyMap<string, SavedTensor>): Promise<string> {
    const executable = await this.clip.compile(columnsGraph(this.graph), this.store);
    try {
      const { columns } = await executable.run({});
      const [normal, abnormal] = (['normal', 'abnormal'] as const).map(
        (kind) => values.get(contextName(kind))!.values,
      ) as [Float32Array, Float32Array];
      return await columnsText(columns as Float32Array, { normal, abnormal }, this.clip.config.textHeads);
    } finally {
      executable.destroy();
    }
  }

  /** The trained model as weights that `MlaLp.load` takes, without a file. */
  async checkpoint(): Promise<TensorSource> {
    const { parameters, metadata } = await this.state('model');
    return memorySource('trained', parameters, metadata);
  }

  /** Tensors of the memory bank that `memoryBank` gives, in its order. */
  get bankTensors(): readonly BankTensor[] {
    if (!this.#method.labels) {
      throw new OptionError(
        `A memory bank is made of adapters' features, and method ${this.options.method} has none.`,
        'Leave the bank out.',
      );
    }
    const { config, stages } = this.graph;
    return bankTensors(stages, this.#normalItems().length * tokensOf(this.graph), config.embed);
  }

  /** The memory bank with the present parameters, row by row and tensor by tensor: f32 chunks in the order of `bankTensors`. */
  async *memoryBank(): AsyncGenerator<Float32Array<ArrayBuffer>> {
    this.#assertWhole();
    const { batch, config } = this.graph;
    const items = this.#normalItems();
    const size = tokensOf(this.graph) * config.embed;
    for (const tensor of this.bankTensors) {
      const executable = await this.clip.compile(bankGraph(this.graph, tensor), this.store);
      try {
        for (let first = 0; first < items.length; first += batch) {
          const part = items.slice(first, first + batch);
          const padded = padTo(batch, part);
          const features = await this.#features(padded);
          const { rows } = await executable.run({ features });
          yield (rows as Float32Array<ArrayBuffer>).slice(0, part.length * size);
        }
      } finally {
        executable.destroy();
      }
    }
  }

  /** Frees what training holds on the device; the CLIP stays loaded. */
  async destroy(): Promise<void> {
    for (const executable of this.#executables.values()) (await executable.catch(() => undefined))?.destroy();
    this.#executables.clear();
    await this.cache.destroy();
    this.store.destroy();
    this.#releaseText();
  }

  async #fillStore(
    text: TextSide,
    init: TensorSource | undefined,
    resume: TrainingState | undefined,
  ): Promise<void> {
    const { store, options } = this;
    const { parameters } = this.graph;
    const put = async (name: string, shape: readonly number[], values?: Float32Array<ArrayBuffer>) => {
      await store.create(name, { dtype: 'f32', shape });
      if (values) await store.write(name, values);
    };
    for (const [i, parameter] of parameters.entries()) {
      const { name, shape } = parameter;
      const saved = resume?.parameters.get(name)?.values;
      const values = saved ?? (await given(init, parameter)) ?? initialValues(parameter, i, options.seed);
      const bad = values.findIndex((value) => !Number.isFinite(value));
      if (bad >= 0) throw new ValueError(`${name} holds ${values[bad]}.`, 'Use a checkpoint that is whole.');
      await put(name, shape, values);
    }
    for (const { name, shape } of this.#slotted()) {
      await put(gradientName(name), shape);
      for (const slot of SLOTS[options.optimiser]) {
        const tensor = slotName(slot, name);
        await put(tensor, shape, resume ? savedSlot(resume, tensor, shape) : undefined);
      }
    }
    for (const masks of [true, false]) {
      const length = trainedParameters(parameters, masks).length + this.#lossKinds(masks).length;
      if (!store.has(normsName(length))) await put(normsName(length), [length]);
    }
    for (const kind of this.#lossKinds(true)) await put(lossName(kind), lossShape(kind));
    if ('learned' in text) {
      const { tokens, ends, length } = text.learned;
      await put('prompt.tokens', [ends.length, length, this.clip.config.textWidth], tokens);
      await store.create('prompt.ends', { dtype: 'u32', shape: [ends.length] });
      await store.write('prompt.ends', Float32Array.from(ends));
    } else {
      await put('text.columns', [2, this.clip.config.embed], text.columns);
    }
    await store.flush();
    if (!resume) return;
    this.#note = kernelsNote(resume, kernelsIdentity(this.clip.gpu));
    this.step = Number(resume.metadata.get('step'));
    Object.assign(this.#updates, JSON.parse(resume.metadata.get('updates')!));
    const { value, calm } = JSON.parse(resume.metadata.get('scale')!) as { value: number; calm: number };
    [this.#scale, this.#calm] = [value, calm];
  }

  /** Versions of normal images. */
  #normalItems(): number[] {
    const versions = this.#versions.length;
    return this.samples.flatMap(({ abnormal }, i) =>
      abnormal ? [] : Array.from({ length: versions }, (_, v) => i * versions + v),
    );
  }

  /** Parameters that some step may train. */
  #slotted(): Parameter[] {
    return trainedParameters(this.graph.parameters, true);
  }

  async #advance(): Promise<StepRecord> {
    const batch = this.#order.at(this.step);
    const clock = stopwatch();
    const masks = batch.samples.some((item) => this.#sampleOf(item).hasMask);
    const work = { prepare: 0, gradient: 0, update: 0 };
    for (;;) {
      const { losses, control } = await this.#onDevice(batch, masks, work, clock);
      if (control[1]! >= 0) {
        this.#finishStep(masks);
        return this.#record(batch, losses, control[1]!, work);
      }
      this.#overflowed(masks, control);
    }
  }

  /**
   * Hands the device the batch, in parts that it takes, and the update behind them, before anything is read back. The update looks at
   * gradients and losses itself, and changes nothing where one is not finite.
   */
  async #onDevice(
    batch: Batch,
    masks: boolean,
    work: StepWork,
    clock: () => number,
  ): Promise<{ losses: Losses; control: Float32Array }> {
    const gradients = await this.#startGradients(batch, masks);
    const update = await this.#startUpdate(masks);
    work.prepare += clock();
    this.#underway = true;
    await gradients.done;
    work.gradient += clock();
    const outputs = await update.outputs;
    this.#underway = false;
    work.update += clock();
    return { losses: this.#losses(outputs), control: outputs.control as Float32Array };
  }

  /** Nothing was updated. In f16 the step is tried again with smaller gradients. @throws ValueError where that is no help. */
  #overflowed(masks: boolean, control: Float32Array): void {
    const bad = trainedParameters(this.graph.parameters, masks).find((_, i) => control[2 + i]! < 0);
    this.#calm = 0;
    if (this.#scale > 1) {
      this.#scale /= 2;
      return;
    }
    throw new ValueError(
      `Step ${this.step + 1}: the gradient of ${bad?.name ?? 'a parameter'} is not finite. Nothing was updated.`,
      this.clip.precision === 'f16'
        ? 'Use --precision f32, or a smaller learning rate.'
        : 'Use a smaller learning rate.',
    );
  }

  #finishStep(masks: boolean): void {
    const { updates } = { updates: this.#updates };
    for (const group of ['seg', 'det', 'prompts'] as const) if (masks || group !== 'seg') updates[group]++;
    this.step++;
    if (this.clip.precision === 'f16' && ++this.#calm >= PATIENCE) {
      this.#calm = 0;
      this.#scale = Math.min(LARGEST_SCALE, this.#scale * 2);
    }
    // The next batch is read while the caller looks at this one's record.
    if (this.step < this.totalSteps) {
      for (const item of this.#order.at(this.step).samples) {
        if (this.#needsLoading(item)) this.#load(item).catch(() => {});
      }
    }
  }

  #record(batch: Batch, losses: Losses, gradientNorm: number, ms: StepRecord['ms']): StepRecord {
    const { det, focal, dice } = losses;
    const rate = this.#rate('det', this.step - 1);
    return {
      step: this.step,
      epoch: batch.epoch + 1,
      loss: det + focal + dice,
      det,
      seg: focal + dice,
      focal,
      dice,
      gradientNorm,
      rate,
      images: batch.samples.length,
      ms,
    };
  }

  /**
   * Forward and backward of a batch, in parts that the device takes; gradients and losses add up in the store.
   * @returns when the device has all of it; `done` when it has computed it.
   */
  async #startGradients(
    { samples: items }: Batch,
    masks: boolean,
  ): Promise<{ readonly done: Promise<unknown> }> {
    const { batch } = this.graph;
    const masked = items.filter((item) => this.#sampleOf(item).hasMask).length;
    const parts: Promise<unknown>[] = [];
    let queued = 0;
    for (let first = 0; first < items.length; first += batch) {
      const part = items.slice(first, first + batch);
      const inputs = await this.#inputs(part, { masks, first: first === 0, count: items.length, masked });
      const executable = await this.#executable(masks ? 'masks' : 'labels');
      parts.push((await executable.start(inputs, { wanted: [] })).outputs);
      queued += bytesOf(inputs);
      if (queued < MOST_QUEUED) continue;
      // What is handed over waits in the implementation's memory until its turn comes.
      await parts.at(-1);
      queued = 0;
    }
    const done = Promise.all(parts);
    done.catch(() => {});
    return { done };
  }

  /** What the update read of the step's losses. @throws ValueError where one is not finite. */
  #losses(outputs: Readonly<Record<string, OutputData>>): Losses {
    for (const kind of ['det', 'seg']) {
      const values = outputs[kind];
      if (values === undefined || [...values].every((value) => Number.isFinite(value))) continue;
      throw new ValueError(
        `Step ${this.step + 1}: the loss ${kind} is ${values.join(', ')}. Nothing was updated.`,
        this.clip.precision === 'f16'
          ? 'Values overflowed f16: use --precision f32.'
          : 'Use a smaller learning rate.',
      );
    }
    const { det = [0], seg = [0, 0] } = outputs;
    return { det: det[0]!, focal: seg[0]!, dice: seg[1]! };
  }

  async #inputs(
    part: readonly number[],
    how: { masks: boolean; first: boolean; count: number; masked: number },
  ): Promise<Record<string, RunInput>> {
    const { batch, imageSize, augment } = this.graph;
    // A part that is not full is filled with its first image, which then counts for nothing.
    const padded = padTo(batch, part);
    const features = await this.#features(padded);
    const weighted = (weight: (item: number) => number) =>
      Float32Array.from(padded, (item, i) => (i < part.length ? weight(item) : 0));
    const inputs: Record<string, RunInput> = {
      ...this.#perFeature(features),
      ...(this.#method.labels && {
        labels: weighted((item) => Number(this.#sampleOf(item).abnormal)),
        detWeights: weighted(() => 1 / how.count),
      }),
      scale: Float32Array.of(this.#scale),
      keep: Float32Array.of(how.first ? 0 : 1, 1),
    };
    if (!how.masks) return inputs;
    inputs.segWeights = weighted((item) => (this.#sampleOf(item).hasMask ? 1 / how.masked : 0));
    const pixels = imageSize * imageSize;
    const masks = new Float32Array(batch * pixels);
    for (const [i, item] of part.entries()) masks.set(await this.#mask(item), i * pixels);
    inputs.masks = masks;
    if (augment) inputs.transforms = this.#transforms(padded);
    return inputs;
  }

  /** What the cache holds of images, by the names that the graphs have for it. */
  #perFeature(slices: readonly DeviceSlice[]): Record<string, readonly DeviceSlice[]> {
    const names = this.#method.features(this.options.stages);
    const part = (bytes: number) => bytes / names.length;
    return Object.fromEntries(
      names.map((name, i) => [
        name,
        slices.map(({ buffer, offset, bytes }) => ({
          buffer,
          offset: offset + i * part(bytes),
          bytes: part(bytes),
        })),
      ]),
    );
  }

  /** Runs the frozen part. */
  async #compute(items: readonly number[], slices: readonly DeviceSlice[]): Promise<void> {
    const { batch, imageSize, augment } = this.graph;
    const padded = padTo(batch, items);
    const loaded: Float32Array[] = [];
    for (const item of items) {
      const { pixels } = await this.#load(item);
      const bad = pixels.findIndex((value) => !Number.isFinite(value));
      if (bad >= 0) {
        const fact = `Pixel value ${bad} of a training image is ${pixels[bad]}.`;
        throw new ValueError(fact, 'Give finite numbers in 0..1.');
      }
      loaded.push(pixels);
    }
    const images = packImages(loaded, batch, imageSize, this.#method.normalise);
    const executable = await this.#executable('prefix');
    const inputs = { images, ...(augment && { transforms: this.#transforms(padded) }) };
    await executable.run(inputs, { wanted: [], copyTo: this.#perFeature(slices) });
    for (const item of items) this.#loads.delete(this.#sampleIndex(item));
  }

  /**
   * Features of images, out of the cache or computed into it. Once every image's are kept, the frozen blocks have done their part:
   * their weights and arenas go.
   */
  async #features(items: readonly number[]): Promise<DeviceSlice[]> {
    const slices = await this.cache.slices(items, (missing, places) => this.#compute(missing, places));
    const prefix = this.#executables.get('prefix');
    if (prefix && this.cache.complete) {
      this.#executables.delete('prefix');
      const executable = await prefix;
      executable.destroy();
      this.clip.freeUnused(executable.plan.graph.weights.keys());
    }
    return slices;
  }

  #transforms(items: readonly number[]): Float32Array<ArrayBuffer> {
    return Float32Array.from(items.flatMap((item) => this.#versions[item % this.#versions.length]!));
  }

  #sampleIndex(item: number): number {
    return Math.floor(item / this.#versions.length);
  }

  #sampleOf(item: number): TrainingSample {
    return this.samples[this.#sampleIndex(item)]!;
  }

  #needsLoading(item: number): boolean {
    const masked = this.#sampleOf(item).hasMask && !this.#masks.has(this.#sampleIndex(item));
    return masked || this.cache.missing([item]).length > 0;
  }

  #load(item: number): Promise<Loaded> {
    const index = this.#sampleIndex(item);
    let loading = this.#loads.get(index);
    if (!loading) {
      loading = this.samples[index]!.load();
      loading.catch(() => this.#loads.delete(index));
      this.#loads.set(index, loading);
    }
    return loading;
  }

  async #mask(item: number): Promise<ArrayLike<number>> {
    const index = this.#sampleIndex(item);
    if (!this.samples[index]!.hasMask) return [];
    const known = this.#masks.get(index);
    if (known) return known;
    const mask = (await this.#load(item)).mask ?? new Uint8Array(0);
    if (this.#maskBytes + mask.length <= MASK_BYTES) {
      this.#masks.set(index, mask);
      this.#maskBytes += mask.length;
    }
    if (this.cache.missing([item]).length === 0) this.#loads.delete(index);
    return mask;
  }

  async #startUpdate(masks: boolean): Promise<Started> {
    const executable = await this.#executable(masks ? 'update' : 'update-labels');
    const groups = new Set(trainedParameters(this.graph.parameters, masks).map(({ group }) => group));
    const inputs: Record<string, RunInput> = {
      clip: Float32Array.of(1 / this.#scale, this.options.maxNorm),
    };
    for (const group of groups) inputs[`hyper.${group}`] = this.#hyper(group);
    return executable.start(inputs);
  }

  /** What a step with or without masks learns from. */
  #lossKinds(masks: boolean): LossKind[] {
    return [...(this.#method.labels ? (['det'] as const) : []), ...(masks ? (['seg'] as const) : [])];
  }

  #rate(group: ParameterGroup, step: number): number {
    const { adapterRate, promptRate, schedule, warmup } = this.options;
    const factor = rateFactor({ name: schedule, warmup, total: this.totalSteps }, step);
    return factor * (group === 'prompts' ? promptRate : adapterRate);
  }

  #hyper(group: ParameterGroup): Float32Array<ArrayBuffer> {
    const { optimiser, betas, epsilon, momentum, weightDecay } = this.options;
    const rate = this.#rate(group, this.step);
    const done = this.#updates[group];
    if (optimiser === 'sgd')
      return Float32Array.of(rate, momentum, 0, 0, weightDecay, Number(done === 0), 0, 1);
    // Of the decay that the kernel sees: 1 - beta is small, so that rounding beta to f32 shows.
    const corrections = betas.map((beta) => 1 / (1 - Math.fround(beta) ** (done + 1))) as [number, number];
    return Float32Array.of(rate, ...betas, epsilon, weightDecay, ...corrections, 1);
  }

  #executable(what: 'prefix' | 'masks' | 'labels' | 'update' | 'update-labels'): Promise<Executable> {
    let executable = this.#executables.get(what);
    if (!executable) {
      const { parameters } = this.graph;
      const { optimiser } = this.options;
      const update = (masks: boolean) =>
        updateGraph(trainedParameters(parameters, masks), optimiser, this.#lossKinds(masks));
      const graph = {
        prefix: () => this.#method.prefix({ ...this.graph, masks: false }),
        masks: () => this.#method.step({ ...this.graph, masks: true }),
        labels: () => this.#method.step({ ...this.graph, masks: false }),
        update: () => update(true),
        'update-labels': () => update(false),
      }[what]();
      executable = this.clip.compile(graph, this.store);
      executable.catch(() => this.#executables.delete(what));
      this.#executables.set(what, executable);
    }
    return executable;
  }
}

/** Of inputs that are uploaded. */
function bytesOf(inputs: Readonly<Record<string, RunInput>>): number {
  return Object.values(inputs).reduce((sum, data) => sum + ('byteLength' in data ? data.byteLength : 0), 0);
}

/** `items`, filled up with the first of them. */
function padTo(length: number, items: readonly number[]): number[] {
  return Array.from({ length }, (_, i) => items[i] ?? items[0]!);
}

/** A run that the device's queue has. */
interface Started {
  readonly outputs: Promise<Record<string, OutputData>>;
}

/** Wall-clock times of a step, ms. */
interface StepWork {
  prepare: number;
  gradient: number;
  update: number;
}

interface Losses {
  readonly det: number;
  readonly focal: number;
  readonly dice: number;
}

/** The initial value that a checkpoint brings, if one was given. @throws BadFileError when it lacks it. */
async function given(
  init: TensorSource | undefined,
  { name, shape, trained }: Parameter,
): Promise<Float32Array<ArrayBuffer> | undefined> {
  if (!init) return undefined;
  const info = init.tensors.get(name);
  if (!info) {
    // Nothing reads the last stage's second matrices, and prompts are MLA-LP's own: MVFA's checkpoints lack them.
    if (!trained || name.startsWith('prompt_learner.')) return undefined;
    throw new BadFileError(init.label, `the tensor ${name} is missing`, 'Give adapters of as many stages.');
  }
  if (info.shape.join() !== shape.join()) {
    throw new BadFileError(
      init.label,
      `the tensor ${name} has the shape [${info.shape}], training needs [${shape}]`,
      'Use a checkpoint of the same CLIP.',
    );
  }
  return init.read(name);
}

function savedSlot(resume: TrainingState, name: string, shape: readonly number[]): Float32Array<ArrayBuffer> {
  const saved = resume.slots.get(name);
  if (saved?.values.length !== elementCount(shape)) {
    throw new BadFileError(
      'the saved run',
      `the tensor ${name} is missing or has another size`,
      'Start afresh.',
    );
  }
  return saved.values;
}

function memorySource(
  label: string,
  values: ReadonlyMap<string, SavedTensor>,
  metadata: ReadonlyMap<string, string>,
): TensorSource {
  return {
    label,
    metadata,
    tensors: new Map([...values].map(([name, { shape }]) => [name, { name, dtype: 'F32', shape }])),
    async read(name, start = 0, end) {
      const found = values.get(name);
      if (!found) throw new BadFileError(label, `there is no tensor ${name}`);
      return found.values.slice(start, end);
    },
    async close() {},
  };
}

/** Milliseconds since the last call, or since it was made. */
function stopwatch(): () => number {
  let last = performance.now();
  return () => {
    const now = performance.now();
    const ms = now - last;
    last = now;
    return ms;
  };
}
