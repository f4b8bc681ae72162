/**
 * One table per op drives its correctness test, its gradient check and its benchmark: operand types, attributes, and how to
 * fill the operands. `reference` is the obvious loop in float64.
 */
import type { Op, OpCall } from '../runtime/op';
import type { TensorType } from '../runtime/tensor-type';

export interface KernelCase<A> {
  readonly name: string;
  readonly inputs: readonly TensorType[];
  readonly attrs: A;
  /** Values of operand `index`; without it, uniform in [-1, 1). u32 operands need it. */
  readonly fill?: (index: number, length: number) => ArrayLike<number> | undefined;
  /** A real model shape that the benchmark times. */
  readonly bench?: boolean;
  /** A case for variants that differ from another by constants only: ragged in some size, layout or type of its own. */
  readonly siblings?: boolean;
  /** Operands to take derivatives by in this case, instead of the suite's; []: none. */
  readonly differentiable?: readonly number[];
}

export interface OpSuite<A> {
  readonly op: Op<A>;
  /**
   * float64 operands in, float64 results out, all row-major. An effect (`Op.writes`) gives the written operands' new values
   * instead, in the order of `writes`.
   */
  readonly reference: (inputs: readonly Float64Array[], call: OpCall<A>) => Float64Array[];
  readonly cases: readonly KernelCase<A>[];
  /** Operands that the op's backward gives a gradient of; the finite-difference test walks them. */
  readonly differentiable?: readonly number[];
  /** Results that backward takes gradients of: all without it. */
  readonly seeded?: readonly number[];
  /** Cases of any shape, where an op has natural sizes. */
  readonly shaped?: ShapedCases<A>;
  /** What else a call may be than `plain`'s dispatch says, by the flags with which faster variants' templates tell. */
  readonly facts?: Readonly<Record<string, Fact<A>>>;
  /** Rows that can be computed by themselves, so that a large case can be compared with the reference in part. */
  readonly rows?: RowsOf<A>;
}

/** Something that a kernel has to know of a call: by a block of its template, or by constants that `plain` has. */
export interface Fact<A> {
  holds(call: OpCall<A>): boolean;
  readonly constants: readonly string[];
}

/** How a case of a shape that no table has is made (`npm run bench -- kernel`). */
export interface ShapedCases<A> {
  /** What the numbers of a shape mean, in order. A single `...` takes one number or more, the last of them the row's length. */
  readonly axes: readonly string[];
  /** Values of named choices, the first the usual one; `flag`: off or on. */
  readonly choices?: Readonly<Record<string, readonly string[] | 'flag'>>;
  /** @param chosen every choice has a value: one of its list, or true or false. */
  make(
    sizes: readonly number[],
    dtype: 'f32' | 'f16',
    chosen: Readonly<Record<string, string | boolean>>,
  ): KernelCase<A>;
}

/** Results that fall into `count` independent rows; `part` is the call that computes some of them. */
export interface RowsOf<A> {
  count(call: OpCall<A>): number;
  part(call: OpCall<A>, rows: readonly number[]): Part<A>;
}

/** A smaller call whose results are part of a larger one's. */
export interface Part<A> {
  readonly inputs: readonly TensorType[];
  readonly attrs: A;
  /** For each operand, where its element i stands in the larger call's; undefined: it is the whole operand. */
  readonly from: readonly (((i: number) => number) | undefined)[];
  /** For each result, where its element i stands in the larger call's. */
  readonly to: readonly ((i: number) => number)[];
}

/** A reproducible number in [-1, 1) for element `i`: test data that needs no generator state. */
export function uniformAt(i: number, seed = 0): number {
  let x = (Math.imul(i + 1, 0x9e3779b1) ^ Math.imul(seed + 1, 0x85ebca77)) >>> 0;
  x = Math.imul(x ^ (x >>> 15), 0x2c1b3c6d);
  x = Math.imul(x ^ (x >>> 12), 0x297a2d39);
  return ((x ^ (x >>> 15)) >>> 0) / 2 ** 31 - 1;
}

/** Hides the attribute type, for tables of different ops. */
export function anySuite<A>(suite: OpSuite<A>): OpSuite<unknown> {
  return suite as unknown as OpSuite<unknown>;
}
