/**
 * Variants that were measured to be faster on one device than what `choose` takes there. Plain data: a table can be made by
 * `npm run tune`, shipped, or given by whoever opens the device, and it can do no harm: what it names is used where it exists
 * and applies, else `choose` decides.
 */
import type { Capabilities } from './capabilities';
import { crc32 } from './crc32';
import { isCannot, type Lowering, type Op, type OpCall } from './op';
import { describe } from './tensor-type';

/** `tuningKey` -> name of a variant. */
export type TunedTable = ReadonlyMap<string, string>;

/** A table, and where it is from. */
export interface Tuning {
  readonly table: TunedTable;
  /** For people: a path, or what shipped. */
  readonly source: string;
  /** Why something that was found is not used; whole sentences. */
  readonly notes: readonly string[];
}

/** Kernels' texts are long and few: each is summed once. */
const texts = new Map<string, string>();

function digest(text: string): string {
  let known = texts.get(text);
  if (known === undefined) {
    known = sum(text);
    texts.set(text, known);
  }
  return known;
}

function sum(text: string): string {
  return `${crc32(new TextEncoder().encode(text)).toString(16).padStart(8, '0')}-${text.length.toString(36)}`;
}

/** Tells two tables apart, whatever their order; "none" where there are no rows. */
export function tableDigest(table: TunedTable | undefined): string {
  if (!table?.size) return 'none';
  return sum(JSON.stringify([...table].sort(([a], [b]) => (a < b ? -1 : 1))));
}

/** The variants that apply to a call on a device, each with what it would run. */
export function legalVariants<A>(op: Op<A>, call: OpCall<A>, caps: Capabilities): Map<string, Lowering> {
  const legal = new Map<string, Lowering>();
  for (const variant of op.variants) {
    const lowering = variant.lower(call, caps);
    if (!isCannot(lowering)) legal.set(variant.name, lowering);
  }
  return legal;
}

/**
 * Identifies a call by all that could run for it: op, each variant that applies, its WGSL, constants, types, flags and grid. Calls that would run
 * the same kernels share a key, and a kernel that changes, appears or goes away gives another one, so that what was measured
 * before is not taken for it.
 */
export function tuningKey<A>(op: Op<A>, call: OpCall<A>, caps: Capabilities): string {
  const runs = [...legalVariants(op, call, caps)].map(([name, { scratch, dispatches }]) => [
    name,
    scratch,
    dispatches.map(({ kernel: { wgsl, includes }, ...rest }) => [
      digest(wgsl),
      Object.entries(includes ?? {}).map(([include, text]) => [include, digest(text)]),
      rest,
    ]),
  ]);
  return `${op.name}:${sum(JSON.stringify(runs))}`;
}

/** "gemm f32[290,1024] f32[4096,1024] -> f32[290,4096] {...}", for people and as a name of equal calls. */
export function describeCall<A>(op: Pick<Op<A>, 'name'>, { inputs, outputs, attrs }: OpCall<A>): string {
  const list = (types: OpCall<A>['inputs']) => types.map(describe).join(' ');
  return `${op.name} ${list(inputs)} -> ${list(outputs)} ${JSON.stringify(attrs)}`;
}

/** Looks up calls; what equal calls share is computed once. */
export class TunedLookup {
  readonly #keys = new Map<string, string>();

  constructor(
    private readonly table: TunedTable,
    private readonly caps: Capabilities,
  ) {}

  /** The table's variant for a call, where it has one that exists and applies. */
  find<A>(op: Op<A>, call: OpCall<A>): string | undefined {
    if (this.table.size === 0 || op.variants.length < 2) return undefined;
    const name = describeCall(op, call);
    let key = this.#keys.get(name);
    if (key === undefined) {
      key = tuningKey(op, call, this.caps);
      this.#keys.set(name, key);
    }
    const wanted = this.table.get(key);
    const variant = op.variants.find((one) => one.name === wanted);
    return variant && !isCannot(variant.lower(call, this.caps)) ? variant.name : undefined;
  }
}

/** The variant that a plan takes when nobody names one. */
export function chosenVariant<A>(op: Op<A>, call: OpCall<A>, caps: Capabilities): string {
  const tuned = caps.tuned && new TunedLookup(caps.tuned, caps).find(op, call);
  return tuned ?? op.choose(call, caps);
}
