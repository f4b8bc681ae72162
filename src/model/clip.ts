/** A CLIP whose weights stream to one device as graphs need them. */
import type { ActivationKind } from '../kernels/activation/activation';
import { BufferStore, lookupIn, type TensorLookup } from '../runtime/buffer-store';
import type { Gpu, Precision } from '../runtime/device';
import { OptionError, ValueError } from '../runtime/errors';
import { Executable } from '../runtime/executable';
import type { Graph } from '../runtime/graph';
import { type Plan, type PlanOptions, plan } from '../runtime/plan';
import type { ClipConfig } from './clip-config';
import { imageEmbeddingGraph } from './clip-graph';
import type { TensorSource } from './tensor-source';
import { columnGraph, type PromptCounts, promptGraph, textGraph } from './text-tower';
import { type LoadProgress, loadWeights } from './weight-loader';

/** Sentences a text run takes at once. */
const TEXT_BATCH = 64;

export interface TextEncoding {
  readonly activation: ActivationKind;
  readonly causal: boolean;
}

export interface PromptInputs {
  /** Prompts a class. */
  readonly counts: PromptCounts;
  /** Positions of each prompt. */
  readonly length: number;
  /** f32 [P, length, textWidth]: embeddings of the tokens. */
  readonly tokens: Float32Array<ArrayBuffer>;
  /** u32 [P]: row p * length + position of the end-of-text token. */
  readonly ends: Uint32Array<ArrayBuffer>;
}

export class Clip {
  /** Weights of the image tower. */
  readonly vision: BufferStore;
  #text: BufferStore;
  /** Uploads, one after another: two graphs may want the same weight. */
  #uploads: Promise<unknown> = Promise.resolve();
  /** How many executables, made or in the making, use a weight. */
  readonly #users = new Map<string, number>();
  /** Plans whose pipelines are wanted later. */
  #later: Plan[] = [];
  #textUsers = 0;
  #textUnwanted = false;

  /**
   * @param source CLIP weights under OpenAI's names (`asClipWeights`).
   * @param onProgress called while weights upload.
   */
  constructor(
    readonly gpu: Gpu,
    readonly source: TensorSource,
    readonly config: ClipConfig,
    readonly precision: Precision,
    private readonly onProgress?: (progress: LoadProgress) => void,
  ) {
    gpu.requirePrecision(precision);
    this.vision = new BufferStore(gpu);
    this.#text = new BufferStore(gpu);
  }

  /**
   * Plans a graph that is wanted later, and compiles its pipelines behind those of the next one that `compile` is asked for: while
   * that uploads its weights and runs.
   * @returns drops the plan again, where the graph is not wanted any more.
   * @throws LimitError, ShapeError when the device cannot carry it.
   */
  prepare(graph: Graph): () => void {
    const planned = plan(graph, this.gpu.caps);
    this.#later.push(planned);
    return () => {
      this.#later = this.#later.filter((each) => each !== planned);
    };
  }

  /**
   * Plans, loads the frozen weights that are not there yet, and compiles meanwhile.
   * @param own tensors of the caller's (adapters, parameters), which go before CLIP's.
   */
  async compile(graph: Graph, own?: TensorLookup, options?: PlanOptions): Promise<Executable> {
    const planned = plan(graph, this.gpu.caps, options);
    for (const each of [planned, ...this.#later.splice(0)]) Executable.prepare(this.gpu, each);
    const frozen = [...graph.weights].filter(([name]) => !own?.has(name));
    const release = this.#use(frozen.map(([name]) => name));
    try {
      const upload = this.#uploads.then(async () => {
        for (const [store, visual] of [[this.vision, true] as const, [this.#text, false] as const]) {
          const weights = new Map(frozen.filter(([name]) => isVisual(name) === visual));
          await loadWeights({ weights }, store, [this.source], this.onProgress);
        }
      });
      this.#uploads = upload.catch(() => {});
      await upload;
      const stores = [this.vision, this.#text];
      const weights = own ? lookupIn(own, ...stores) : lookupIn(...stores);
      return await Executable.compile(this.gpu, planned, weights, { onDestroy: release });
    } catch (error) {
      release();
      throw error;
    }
  }

  /** Counts users of weights. @returns counts them off again. */
  #use(names: readonly string[]): () => void {
    const count = (by: number) => {
      for (const name of names) this.#users.set(name, (this.#users.get(name) ?? 0) + by);
    };
    count(1);
    let over = false;
    return () => {
      if (!over) count(-1);
      over = true;
    };
  }

  /** Frees those of the image tower's weights that no executable uses; they load again when next needed. */
  freeUnused(names: Iterable<string>): void {
    for (const name of names) if (!this.#users.get(name)) this.vision.remove(name);
  }

  /**
   * Plain text features. @param tokens i32 [N, context] from `tokenize`.
   * @returns f32 [N, embed], not normalised.
   */
  async encodeText(tokens: Int32Array, encoding: TextEncoding): Promise<Float32Array<ArrayBuffer>> {
    return this.#usingText(() => this.#encodeText(tokens, encoding, 'features'));
  }

  /**
   * Plain image embeddings. @param images f32 [N, 3, S, S] in 0..1.
   * @returns f32 [N, embed], not normalised.
   */
  async encodeImages(
    images: Float32Array<ArrayBuffer>,
    imageSize: number,
    activation: ActivationKind,
  ): Promise<Float32Array<ArrayBuffer>> {
    const batch = images.length / (3 * imageSize * imageSize);
    const bad = images.findIndex((value) => !Number.isFinite(value));
    if (bad >= 0)
      throw new ValueError(`Pixel value ${bad} is ${images[bad]}.`, 'Give finite numbers in 0..1.');
    const options = { config: this.config, activation, dtype: this.precision, batch, imageSize };
    const graph = imageEmbeddingGraph(options);
    const executable = await this.compile(graph);
    const tokens = 1 + Math.floor(imageSize / this.config.patch) ** 2;
    const rows = Uint32Array.from({ length: batch }, (_, b) => b * tokens);
    try {
      const { features } = await executable.run({ images, rows });
      return features as Float32Array<ArrayBuffer>;
    } finally {
      executable.destroy();
    }
  }

  /**
   * Text column of fixed sentences: their mean, of length 1; causal, as CLIP was trained. f32 [embed].
   * @param unit whether each sentence's features have length 1 before the mean, as in MVFA; WinCLIP's have their own.
   */
  async fixedColumn(
    tokens: Int32Array,
    activation: ActivationKind,
    unit = true,
  ): Promise<Float32Array<ArrayBuffer>> {
    const output = unit ? 'unit' : 'features';
    const rows = await this.#usingText(() => this.#encodeText(tokens, { activation, causal: true }, output));
    const graph = columnGraph(rows.length / this.config.embed, this.config.embed);
    const executable = await this.compile(graph);
    try {
      return (await executable.run({ rows })).column as Float32Array<ArrayBuffer>;
    } finally {
      executable.destroy();
    }
  }

  /**
   * MLA-LP's two text columns. @param tokens per class i32 [n, context] from `learnablePromptTokens`.
   * @param contexts holds prompt_learner.ctx.{normal,abnormal}_end, f32 [n, M, textWidth].
   * @returns f32 [2, embed], unit rows, normal first.
   */
  promptColumns(
    tokens: { readonly normal: Int32Array; readonly abnormal: Int32Array },
    contexts: TensorLookup,
    contextVectors: number,
    encoding: TextEncoding,
  ): Promise<Float32Array<ArrayBuffer>> {
    return this.#usingText(() => this.#promptColumns(tokens, contexts, contextVectors, encoding));
  }

  async #promptColumns(
    tokens: { readonly normal: Int32Array; readonly abnormal: Int32Array },
    contexts: TensorLookup,
    contextVectors: number,
    encoding: TextEncoding,
  ): Promise<Float32Array<ArrayBuffer>> {
    const { context } = this.config;
    const counts: PromptCounts = {
      normal: tokens.normal.length / context,
      abnormal: tokens.abnormal.length / context,
    };
    const all = Int32Array.from([...tokens.normal, ...tokens.abnormal]);
    const length = encoding.causal ? usedLength(all, context) : context;
    const options = { config: this.config, dtype: this.precision, ...encoding };
    const executable = await this.compile(promptGraph(counts, contextVectors, length, options), contexts);
    try {
      const inputs = {
        tokens: await this.#embedTokens(all, length),
        ends: endRows(all, context, length),
      };
      return (await executable.run(inputs)).text as Float32Array<ArrayBuffer>;
    } finally {
      executable.destroy();
    }
  }

  /**
   * Keeps the text tower's weights for a caller that computes with the tower itself.
   * @returns gives them free again; they go when nobody wants them.
   */
  holdText(): () => void {
    this.#textUsers++;
    return () => {
      this.#textUsers--;
      this.releaseText();
    };
  }

  /**
   * What the text tower reads of learnable prompts, normal first.
   * @param tokens per class i32 [n, context] from `learnablePromptTokens`. @param causal drops what is behind the last end.
   */
  async promptInputs(
    tokens: { readonly normal: Int32Array; readonly abnormal: Int32Array },
    causal: boolean,
  ): Promise<PromptInputs> {
    const { context } = this.config;
    const all = Int32Array.from([...tokens.normal, ...tokens.abnormal]);
    const length = causal ? usedLength(all, context) : context;
    return {
      counts: { normal: tokens.normal.length / context, abnormal: tokens.abnormal.length / context },
      length,
      tokens: await this.#embedTokens(all, length),
      ends: endRows(all, context, length),
    };
  }

  /** Frees the text tower's weights, once nobody computes with them; they load again when next needed. */
  releaseText(): void {
    this.#textUnwanted = true;
    this.#freeUnusedText();
  }

  #freeUnusedText(): void {
    if (this.#textUsers > 0 || !this.#textUnwanted) return;
    this.#text.destroy();
    this.#text = new BufferStore(this.gpu);
  }

  async #usingText<T>(work: () => Promise<T>): Promise<T> {
    this.#textUsers++;
    this.#textUnwanted = false;
    try {
      return await work();
    } finally {
      this.#textUsers--;
      this.#freeUnusedText();
    }
  }

  /** Frees all weights and closes the file. The device stays open. */
  async close(): Promise<void> {
    this.#text.destroy();
    this.vision.destroy();
    await this.source.close();
  }

  async #encodeText(
    tokens: Int32Array,
    encoding: TextEncoding,
    output: 'features' | 'unit',
  ): Promise<Float32Array<ArrayBuffer>> {
    const { context, embed } = this.config;
    const count = tokens.length / context;
    if (!Number.isInteger(count) || count < 1) {
      throw new OptionError(
        `${tokens.length} token ids are no rows of ${context}.`,
        'Tokenize for the context of these weights.',
      );
    }
    const length = encoding.causal ? usedLength(tokens, context) : context;
    const result = new Float32Array(count * embed);
    const batch = Math.min(TEXT_BATCH, count);
    const options = { config: this.config, dtype: this.precision, ...encoding };
    const executable = await this.compile(textGraph(batch, length, options));
    try {
      for (let first = 0; first < count; first += batch) {
        // The last batch reaches back, so that one executable serves all.
        const from = Math.min(first, count - batch);
        const part = tokens.subarray(from * context, (from + batch) * context);
        const inputs = {
          tokens: await this.#embedTokens(part, length),
          ends: endRows(part, context, length),
        };
        result.set((await executable.run(inputs, { wanted: [output] }))[output]!, from * embed);
      }
      return result;
    } finally {
      executable.destroy();
    }
  }

  /** Rows of the embedding table (152 MB in ViT-L/14: over the portable binding limit), gathered from the file. */
  async #embedTokens(tokens: Int32Array, length: number): Promise<Float32Array<ArrayBuffer>> {
    const { context, textWidth: width, vocab } = this.config;
    const rows = new Map<number, Float32Array>();
    const count = tokens.length / context;
    const out = new Float32Array(count * length * width);
    for (let p = 0; p < count; p++) {
      for (let t = 0; t < length; t++) {
        const id = tokens[p * context + t]!;
        if (id < 0 || id >= vocab) {
          throw new OptionError(
            `Token id ${id} is outside the vocabulary of ${vocab}.`,
            "Use weights with CLIP's own vocabulary.",
          );
        }
        let row = rows.get(id);
        if (!row) {
          row = await this.source.read('token_embedding.weight', id * width, (id + 1) * width);
          rows.set(id, row);
        }
        out.set(row, (p * length + t) * width);
      }
    }
    return out;
  }
}

/** Whether a weight belongs to the image tower. */
function isVisual(name: string): boolean {
  return name.startsWith('visual.');
}

/** Position of the end-of-text token: CLIP's largest id, as in OpenAI's `text.argmax(dim=-1)`. */
function endPosition(row: Int32Array): number {
  return row.indexOf(row.reduce((a, b) => Math.max(a, b)));
}

/** Positions up to the last end-of-text token: in a causal tower nothing behind it matters. */
function usedLength(tokens: Int32Array, context: number): number {
  let length = 0;
  for (let start = 0; start < tokens.length; start += context) {
    length = Math.max(length, endPosition(tokens.subarray(start, start + context)) + 1);
  }
  return length;
}

/** Row p * length + end of each prompt. */
function endRows(tokens: Int32Array, context: number, length: number): Uint32Array<ArrayBuffer> {
  return Uint32Array.from(
    { length: tokens.length / context },
    (_, p) => p * length + endPosition(tokens.subarray(p * context, (p + 1) * context)),
  );
}
