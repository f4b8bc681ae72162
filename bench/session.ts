/** What every benchmark needs: the device, its clock, the budget, and where results and progress go. */
import { progressBar } from '../src/cli/progress';
import type { Gpu } from '../src/runtime/device';
import { Executable } from '../src/runtime/executable';
import { Graph } from '../src/runtime/graph';
import { plan } from '../src/runtime/plan';
import { copyOp } from './ceiling/copy';
import { storeOf, wallOf } from './graph-timer';
import type { LeftOut, Row } from './record';
import { median } from './stats';

export type Clock = 'timestamp' | 'wall';

export interface SessionOptions {
  /** Time to spend on each row, s. */
  readonly budget: number;
  readonly quiet?: boolean;
  /** false: the wall clock alone. Browsers round timestamps to 0.1 ms, which short kernels do not last. */
  readonly timestamps?: boolean;
  /** Told instead of stderr, where there is none. */
  readonly onProgress?: (label: string, done: number, total: number) => void;
}

export class Session {
  /** Until `ceilings` has seen that timestamps can be believed. */
  clock: Clock = 'wall';
  /** Time of a run that computes next to nothing: submit and wait. */
  emptyRunMs = 0;
  readonly rows: Row[] = [];
  readonly skipped: LeftOut[] = [];
  readonly failed: LeftOut[] = [];
  /** Whole sentences below the tables. */
  readonly notes: string[] = [];

  constructor(
    readonly gpu: Gpu,
    readonly options: SessionOptions,
  ) {}

  get budgetMs(): number {
    return 1000 * this.options.budget;
  }

  /** A progress line on stderr, unless `onProgress` is told. */
  progress(label: string, total: number, unit = 'steps') {
    const { onProgress, quiet } = this.options;
    const bar = onProgress
      ? { update: (done: number) => onProgress(label, done, total), finish: () => {} }
      : progressBar({ label, total, unit, quiet });
    let done = 0;
    const step = () => {
      done++;
      bar.update(done);
    };
    return { step, finish: () => bar.finish() };
  }

  async measureEmptyRun(): Promise<void> {
    const g = new Graph();
    const x = g.weight('x0', 'f32', [4]);
    g.output('y', g.apply(copyOp, [x], null)[0]!);
    const store = await storeOf(this.gpu, [{ type: x.type, values: new Float32Array(4) }]);
    const executable = await Executable.compile(this.gpu, plan(g, this.gpu.caps), store);
    const ms: number[] = [];
    for (let i = 0; i < 30; i++) ms.push(await wallOf(executable));
    executable.destroy();
    store.destroy();
    // The first runs also warm the engine up.
    this.emptyRunMs = median(ms.slice(10));
  }
}
