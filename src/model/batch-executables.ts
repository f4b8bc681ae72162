import type { Executable } from '../runtime/executable';

/** One executable a batch size, compiled when first asked for. */
export class BatchExecutables {
  readonly #made = new Map<number, Promise<Executable>>();

  constructor(private readonly compile: (batch: number) => Promise<Executable>) {}

  get(batch: number): Promise<Executable> {
    let executable = this.#made.get(batch);
    if (!executable) {
      executable = this.compile(batch);
      executable.catch(() => this.#made.delete(batch));
      this.#made.set(batch, executable);
    }
    return executable;
  }

  async destroy(): Promise<void> {
    const made = [...this.#made.values()];
    this.#made.clear();
    // One that failed was told to whoever asked for it.
    for (const executable of made) (await executable.catch(() => undefined))?.destroy();
  }
}
