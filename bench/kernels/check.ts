/** Verifies a kernel before it gets a time: against the float64 reference, on the case itself where that is affordable. */
import type { InputData } from '../../src/runtime/executable';
import { isCannot } from '../../src/runtime/op';
import { sizeOf } from '../../src/runtime/tensor-type';
import {
  type AnyCase,
  type AnySuite,
  callOf,
  mismatchOf,
  operandsOf,
  runCase,
  skipReason,
  usesF16,
} from '../../test/kernels/run-case';
import type { Checked } from '../record';
import type { Session } from '../session';

/** `all` waits for the reference of every case; minutes for the large ones. */
export type CheckMode = 'affordable' | 'all';

/** The reference is a plain loop in JavaScript: about a second for this many. */
const AFFORDABLE_FLOPS = 7e8;
const AFFORDABLE_ELEMENTS = 2e7;

function affordable(suite: AnySuite, one: AnyCase): boolean {
  const call = callOf(suite, one);
  const elements = [...call.inputs, ...call.outputs].reduce((sum, type) => sum + sizeOf(type), 0);
  return suite.op.flops(call) <= AFFORDABLE_FLOPS && elements <= AFFORDABLE_ELEMENTS;
}

/** Knows a case's operands, and whether outputs are right. */
export interface Verifier {
  /** Operand values as they are stored; made once for all variants. */
  operands(one: AnyCase): readonly InputData[];
  /** @param outputs of the case by the variant. @returns how it was checked, or what is wrong. */
  check(
    suite: AnySuite,
    one: AnyCase,
    variant: string,
    outputs: readonly ArrayLike<number>[],
  ): Promise<{ readonly checked: Checked } | { readonly wrong: string }>;
}

/** Remembers what was verified: a smaller case stands for many larger ones, and variants share a reference. */
export class Checker implements Verifier {
  readonly #operands = new Map<AnyCase, InputData[]>();
  readonly #references = new Map<AnyCase, Float64Array[]>();
  readonly #smaller = new Map<string, Promise<string | undefined>>();

  constructor(
    private readonly session: Session,
    private readonly mode: CheckMode,
  ) {}

  /** @param known whether the case is the table's own: what fills others may be nothing that the reference can be compared on. */
  async check(
    suite: AnySuite,
    one: AnyCase,
    variant: string,
    outputs: readonly ArrayLike<number>[],
    known = true,
  ): Promise<{ readonly checked: Checked } | { readonly wrong: string }> {
    if (known && (this.mode === 'all' || affordable(suite, one))) {
      const wrong = mismatchOf(suite.op, callOf(suite, one), outputs, this.#reference(suite, one));
      return wrong ? { wrong } : { checked: 'this case' };
    }
    const smaller = this.#largestAffordable(suite, one, variant);
    if (!smaller) return { wrong: 'no case of its table is small enough to check; use --check all' };
    const key = [suite.op.name, smaller.name, variant].join('\n');
    let verdict = this.#smaller.get(key);
    if (!verdict) {
      verdict = this.#runAndCompare(suite, smaller, variant);
      this.#smaller.set(key, verdict);
    }
    const wrong = await verdict;
    return wrong ? { wrong: `${smaller.name}: ${wrong}` } : { checked: 'smaller case' };
  }

  operands(one: AnyCase): readonly InputData[] {
    let values = this.#operands.get(one);
    if (!values) {
      values = operandsOf(one);
      this.#operands.set(one, values);
    }
    return values;
  }

  /** Frees what a finished suite needed. */
  forget(): void {
    this.#operands.clear();
    this.#references.clear();
  }

  async #runAndCompare(suite: AnySuite, one: AnyCase, variant: string): Promise<string | undefined> {
    const { outputs } = await runCase(this.session.gpu, suite.op, one, variant);
    return mismatchOf(suite.op, callOf(suite, one), outputs, this.#reference(suite, one));
  }

  #largestAffordable(suite: AnySuite, like: AnyCase, variant: string): AnyCase | undefined {
    const { gpu } = this.session;
    const f16 = usesF16(callOf(suite, like));
    const flops = (one: AnyCase) => suite.op.flops(callOf(suite, one));
    return suite.cases
      .filter((one) => {
        const call = callOf(suite, one);
        const lowering = suite.op.variants.find(({ name }) => name === variant)!.lower(call, gpu.caps);
        if (isCannot(lowering) || skipReason(gpu, call, lowering)) return false;
        return usesF16(call) === f16 && affordable(suite, one);
      })
      .sort((a, b) => flops(b) - flops(a))[0];
  }

  #reference(suite: AnySuite, one: AnyCase): Float64Array[] {
    let want = this.#references.get(one);
    if (!want) {
      const operands = this.operands(one).map((values) => Float64Array.from(values));
      want = suite.reference(operands, callOf(suite, one));
      this.#references.set(one, want);
    }
    return want;
  }
}
