/**
 * What an operation is: shapes in -> shapes out (`infer`), shapes + device -> dispatches (`variants`, `choose`), and the
 * graph nodes that its gradient needs (`backward`). All pure: no GPU is touched here.
 */
import type { Capabilities } from './capabilities';
import type { Graph, Tensor } from './graph';
import type { Dtype, TensorType } from './tensor-type';

/** One application of an op: operand types and attributes. */
export interface OpCall<A> {
  readonly inputs: readonly TensorType[];
  readonly outputs: readonly TensorType[];
  readonly attrs: A;
}

/** Which tensor a WGSL binding means. `scratch` lives for this node only. */
export type Operand = { readonly input: number } | { readonly output: number } | { readonly scratch: number };

/** A WGSL template: `specialise` fills in constants, types and optional blocks. */
export interface KernelSource {
  /** File name without ending, for labels and messages. */
  readonly name: string;
  readonly wgsl: string;
  /** Texts that take the place of `// @include NAME` lines. */
  readonly includes?: Readonly<Record<string, string>>;
}

export interface Dispatch {
  readonly kernel: KernelSource;
  /** Values for module-scope `override` / `const` declarations. An unknown name throws. */
  readonly constants?: Readonly<Record<string, number | boolean>>;
  /** Values for `alias NAME = ...;` declarations. An unknown name throws. */
  readonly types?: Readonly<Record<string, Dtype>>;
  /** Names of the `// @if NAME` blocks to keep. */
  readonly flags?: readonly string[];
  /** false leaves `// @unroll` loops as they are. */
  readonly unroll?: boolean;
  /** Binding name -> tensor. A missing or unknown name throws. */
  readonly bindings: Readonly<Record<string, Operand>>;
  readonly workgroups: readonly [x: number, y: number, z: number];
}

export interface Lowering {
  readonly variant: string;
  readonly scratch?: readonly TensorType[];
  readonly dispatches: readonly Dispatch[];
}

/** Why a variant does not apply to a call on a device. */
export interface Cannot {
  readonly cannot: string;
}

export interface Variant<A> {
  readonly name: string;
  /**
   * The variant whose kernel this one runs with other constants (tile sizes, parts of a sum): that one is tested on every case, this
   * one on a few in `npm test`, on all of them in the slow tests.
   */
  readonly sibling?: string;
  lower(call: OpCall<A>, caps: Capabilities): Lowering | Cannot;
}

/** What the reverse walk (`gradients.ts`) hands to an op's backward. */
export interface BackwardContext<A> {
  readonly graph: Graph;
  readonly attrs: A;
  readonly inputTypes: readonly TensorType[];
  /** Operand i's value. Ask only for what the gradient needs: what nobody asks for is not kept (or not recomputed). */
  input(i: number): Tensor;
  /** Result i's value; the same holds. */
  output(i: number): Tensor;
  /** dL/d(output), one per output, each of its output's type; undefined where nothing downstream needs it. */
  readonly outputGradients: readonly (Tensor | undefined)[];
  /** Which inputs need a gradient: none may be built for the others. */
  readonly needed: readonly boolean[];
  /**
   * The part of input i's gradient that other nodes contributed so far, if any. An op that can add it for free takes it
   * here, once, and returns the sum.
   */
  absorb(i: number): Tensor | undefined;
}

export interface Op<A> {
  readonly name: string;
  /** Output types. @throws ShapeError naming op and shapes. */
  infer(inputs: readonly TensorType[], attrs: A): TensorType[];
  /** Every way to compute it; the first is the plain one that always applies. */
  readonly variants: readonly Variant<A>[];
  /** Name of the variant to use: a pure function of shapes and device. */
  choose(call: OpCall<A>, caps: Capabilities): string;
  /** Floating-point operations (a multiply-add counts two). */
  flops(call: OpCall<A>): number;
  /**
   * Operands that the op changes in place, weights all. Such an op is an effect: it has no outputs, is always planned, and
   * takes its turn in building order.
   */
  readonly writes?: readonly number[];
  /**
   * Gradient nodes, one per input (undefined where not needed), each of its input's type; the derivation stands above it.
   */
  backward?(context: BackwardContext<A>): (Tensor | undefined)[];
}

export function isCannot(lowering: Lowering | Cannot): lowering is Cannot {
  return 'cannot' in lowering;
}
