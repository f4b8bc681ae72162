/** Searches a bank that does not stay on the device: tile after tile passes by the features of a batch. */
import { BufferStore } from '../runtime/buffer-store';
import type { DeviceSlice, Executable, OutputData, RunInput, RunOptions } from '../runtime/executable';
import { BYTES } from '../runtime/tensor-type';
import { BatchExecutables } from './batch-executables';
import type { Clip } from './clip';
import { tokensOf } from './clip-config';
import type { MemoryBank } from './memory-bank';
import { type BankGraphOptions, memoryMapsGraph, tileSearchGraph } from './memory-bank-graph';
import { bankTensors } from './memory-bank-tensors';

/** No distance is larger. */
const FARTHEST = 2;

export class BankSearch {
  readonly #searches: BatchExecutables;
  readonly #maps: BatchExecutables;
  /** Features of one batch. */
  readonly #features: BufferStore;
  /** Batches share the places of features and tile, so one is searched for at a time. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(
    clip: Clip,
    private readonly bank: MemoryBank,
    private readonly optionsOf: (batch: number) => BankGraphOptions,
  ) {
    this.#searches = new BatchExecutables((batch) =>
      clip.compile(tileSearchGraph(optionsOf(batch), bank.layout), bank.store),
    );
    this.#maps = new BatchExecutables((batch) => clip.compile(memoryMapsGraph(optionsOf(batch))));
    this.#features = new BufferStore(clip.gpu);
  }

  /**
   * Runs the model and searches the bank for its features.
   * @param model has the outputs <head>.<stage>. @returns the model's other outputs, and memory.map and memory.det.
   */
  run(
    model: Executable,
    inputs: Readonly<Record<string, RunInput>>,
    batch: number,
    observed: Pick<RunOptions, 'observe'> = {},
  ): Promise<Record<string, OutputData>> {
    const turn = this.#turn.then(() => this.#run(model, inputs, batch, observed));
    this.#turn = turn.catch(() => {});
    return turn;
  }

  async destroy(): Promise<void> {
    await this.#turn;
    await this.#searches.destroy();
    await this.#maps.destroy();
    this.#features.destroy();
  }

  async #run(
    model: Executable,
    inputs: Readonly<Record<string, RunInput>>,
    batch: number,
    observed: Pick<RunOptions, 'observe'>,
  ): Promise<Record<string, OutputData>> {
    const options = this.optionsOf(batch);
    const { config, stages } = options;
    const patches = tokensOf(options) - 1;
    const names = bankTensors(stages, this.bank.rows, config.embed).map(
      ({ head, stage }) => `${head}.${stage}`,
    );
    const features: Record<string, readonly DeviceSlice[]> = {};
    for (const name of names) features[name] = [await this.#place(name, batch)];
    const wanted = [...model.plan.outputs.keys()].filter((name) => !names.includes(name));
    const out = await model.run(inputs, { ...observed, wanted, copyTo: features });
    const search = await this.#searches.get(batch);
    const distances: Record<string, RunInput> = {};
    for (const [tensor, name] of names.entries()) {
      let prev: Float32Array<ArrayBuffer> = new Float32Array(batch * patches).fill(FARTHEST);
      for (let tile = 0; tile < this.bank.layout.tiles; tile++) {
        await this.bank.upload(tensor, tile);
        const found = await search.run({ features: features[name]!, prev });
        prev = found.distances as Float32Array<ArrayBuffer>;
      }
      distances[name] = prev;
    }
    return { ...out, ...(await (await this.#maps.get(batch)).run(distances)) };
  }

  /** Where a batch's features of one stage and head lie. */
  async #place(name: string, batch: number): Promise<DeviceSlice> {
    const options = this.optionsOf(batch);
    const shape = [batch, tokensOf(options), options.config.embed];
    const place = `${name} of ${batch}`;
    if (!this.#features.has(place)) await this.#features.create(place, { dtype: options.dtype, shape });
    const bytes = shape.reduce((a, b) => a * b) * BYTES[options.dtype];
    return { buffer: this.#features.get(place).buffer, offset: 0, bytes };
  }
}
