/** How busy other programs keep the CPUs meanwhile: what a reader of times from a shared machine must know. */
import { type CpuInfo, cpus } from 'node:os';

type Times = Pick<CpuInfo, 'times'>;

export class MachineLoad {
  readonly #before: readonly Times[];

  /** Begins to watch. @param look for tests. */
  constructor(private readonly look: () => readonly Times[] = cpus) {
    this.#before = look();
  }

  /** Share (0..1) of all CPUs' time since the beginning that was spent, but not by us. @param ownS what we spent, s of CPU time. */
  othersShare(ownS: number): number {
    const [before, after] = [sum(this.#before), sum(this.look())];
    const whole = after.whole - before.whole;
    if (whole <= 0) return 0;
    const spent = after.spent - before.spent;
    return Math.max(0, (spent - 1000 * ownS) / whole);
  }
}

function sum(all: readonly Times[]): { readonly whole: number; readonly spent: number } {
  let [whole, idle] = [0, 0];
  for (const { times } of all) {
    whole += times.user + times.nice + times.sys + times.irq + times.idle;
    idle += times.idle;
  }
  return { whole, spent: whole - idle };
}
