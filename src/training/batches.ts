/** Which samples a step sees: a pure function of seed and step, so that a resumed run goes on where it stopped. */
import { OptionError } from '../runtime/errors';
import { Random } from '../runtime/random';

export interface BatchOrderOptions {
  /** Samples a batch; the last one of an epoch (or of a group) may be smaller. */
  readonly batch: number;
  readonly seed: number;
  /** false keeps the order given. */
  readonly shuffle: boolean;
}

export interface Batch {
  /** From 0. */
  readonly epoch: number;
  /** Indices of samples. */
  readonly samples: readonly number[];
}

export class BatchOrder {
  readonly stepsPerEpoch: number;
  readonly #members: readonly (readonly number[])[];
  #epoch = -1;
  #batches: readonly (readonly number[])[] = [];

  /** @param groups one value a sample: a batch holds samples of one group only (single-data-set batches). */
  constructor(
    groups: readonly string[],
    private readonly options: BatchOrderOptions,
  ) {
    if (groups.length === 0) throw new OptionError('There is nothing to train on.', 'Give images.');
    const members = new Map<string, number[]>();
    groups.forEach((group, i) => {
      const list = members.get(group) ?? [];
      list.push(i);
      members.set(group, list);
    });
    this.#members = [...members.values()];
    this.stepsPerEpoch = this.#members.reduce((sum, list) => sum + Math.ceil(list.length / options.batch), 0);
  }

  /** The batch of a step, from 0. */
  at(step: number): Batch {
    const epoch = Math.floor(step / this.stepsPerEpoch);
    if (epoch !== this.#epoch) {
      this.#epoch = epoch;
      this.#batches = this.#arrange(epoch);
    }
    return { epoch, samples: this.#batches[step % this.stepsPerEpoch]! };
  }

  #arrange(epoch: number): (readonly number[])[] {
    const { seed, shuffle, batch } = this.options;
    const random = new Random(Math.imul(seed, 0x85ebca77) + epoch);
    const batches: (readonly number[])[] = [];
    for (const list of this.#members) {
      const order = shuffle ? shuffled(list, random) : list;
      for (let first = 0; first < order.length; first += batch)
        batches.push(order.slice(first, first + batch));
    }
    return shuffle && this.#members.length > 1 ? shuffled(batches, random) : batches;
  }
}

/** Fisher and Yates 1938, as Durstenfeld 1964 put it. */
function shuffled<T>(values: readonly T[], random: Random): T[] {
  const order = [...values];
  for (let i = order.length - 1; i > 0; i--) {
    const j = random.integer(0, i + 1);
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}
