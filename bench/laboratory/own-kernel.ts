/**
 * A researcher's own kernel as one more variant of an op. The contract (docs/kernel-laboratory.md): one compute entry point, one
 * dispatch; storage bindings called as in the op's `plain` variant; constants, aliases, `// @if` blocks and includes of `plain` where
 * the text has them; and in comments at the beginning of a line
 *   // grid: ceil(N / 64), ceil(M / 64), 1     workgroups
 *   // when: K % 4 == 0                        calls that it is for
 *   // flag K_TAIL: K % 16 != 0                a block that it switches by itself
 */
import type { Capabilities } from '../../src/runtime/capabilities';
import { OptionError } from '../../src/runtime/errors';
import {
  type Cannot,
  isCannot,
  type KernelSource,
  type Lowering,
  type OpCall,
  type Operand,
  type Variant,
} from '../../src/runtime/op';
import { reflect, type ShaderLayout } from '../../src/runtime/reflect';
import { type Specialisation, specialise } from '../../src/runtime/specialise';
import type { TensorType } from '../../src/runtime/tensor-type';
import { type AnySuite, callOf } from '../../test/kernels/run-case';
import { evaluateList, type Names } from './expression';
import { workgroupSize } from './occupancy';
import {
  blockNames,
  constantNames,
  constantValues,
  type Header,
  includeNames,
  readHeader,
  storageScalars,
  typeNames,
} from './template';

export interface OwnSource {
  /** As messages call it. */
  readonly file: string;
  readonly wgsl: string;
  /** Workgroups, instead of the comment's. */
  readonly grid?: string;
}

/** What `plain` says of a call: all that a kernel may ask for. */
interface Offer {
  readonly constants: Readonly<Record<string, number | boolean>>;
  readonly types: NonNullable<Specialisation['types']>;
  readonly flags: ReadonlySet<string>;
  readonly includes: Readonly<Record<string, string>>;
  readonly bindings: Readonly<Record<string, Operand>>;
}

interface Filled {
  readonly kernel: KernelSource;
  readonly spec: Specialisation;
  readonly wgsl: string;
  readonly offer: Offer;
  readonly names: Names;
}

export class OwnKernel implements Variant<unknown> {
  readonly name: string;
  readonly file: string;
  readonly #header: Header;
  readonly #blocks: ReadonlySet<string>;
  /** Of any call in the table. */
  readonly #knownFlags: ReadonlySet<string>;
  /** Name of each binding -> whether every call of the table has it. */
  readonly #knownBindings: ReadonlyMap<string, { readonly always: boolean; readonly output: boolean }>;

  /** @throws OptionError when the text cannot be a kernel of this op, whatever the call. */
  constructor(
    private readonly suite: AnySuite,
    private readonly source: OwnSource,
    caps: Capabilities,
  ) {
    const { op } = suite;
    const { wgsl, file } = source;
    this.file = file;
    this.name = file.replace(/^.*[\\/]/, '').replace(/\.wgsl$/, '');
    if (op.variants.some(({ name }) => name === this.name)) this.name = `own ${this.name}`;
    this.#header = readHeader(wgsl);
    const offers = suite.cases.map((one) => this.#offer(callOf(suite, one), caps));
    const included = [...includeNames(wgsl)].map((name) => offers[0]?.includes[name] ?? '');
    this.#blocks = blockNames([wgsl, ...included].join('\n'));
    const bindings = new Map<string, { always: boolean; output: boolean }>();
    for (const name of new Set(offers.flatMap((offer) => Object.keys(offer.bindings)))) {
      const operands = offers.map((offer) => offer.bindings[name]);
      bindings.set(name, {
        always: operands.every((operand) => operand !== undefined),
        output: operands.some((operand) => operand && this.#isWritten(operand)),
      });
    }
    this.#knownBindings = bindings;
    this.#knownFlags = new Set([
      ...offers.flatMap(({ flags }) => [...flags]),
      ...Object.keys(suite.facts ?? {}),
    ]);
    for (const block of blockNames(wgsl)) {
      if (this.#knownFlags.has(block) || this.#header.flags.has(block)) continue;
      throw new OptionError(
        `${file}: no call of ${op.name} sets ${block}, so that the block @if ${block} would never be kept.`,
        `Calls set: ${[...this.#knownFlags].join(', ') || 'nothing'}. Say "// flag ${block}: condition" for one of your own.`,
      );
    }
    if (this.#grid() === undefined) {
      throw new OptionError(
        `${file}: how many workgroups?`,
        'Write "// grid: ceil(N / 64), ceil(M / 64), 1" at the beginning of a line, or give --grid.',
      );
    }
  }

  /** @throws OptionError where the text breaks the contract; MlaLpError where it does not parse. */
  lower(call: OpCall<unknown>, caps: Capabilities): Lowering | Cannot {
    const filled = this.fill(call, caps);
    if ('cannot' in filled) return filled;
    const { kernel, spec, wgsl, offer, names } = filled;
    const obstacle = this.#bindingObstacle(reflect(kernel.name, wgsl), wgsl, offer, call);
    if (obstacle) return obstacle;
    const known = { ...names, ...constantValues(wgsl) };
    const grid = this.#workgroups(known, caps);
    if ('cannot' in grid) return grid;
    const [x, y, z] = workgroupSize(wgsl, known);
    if (x * y * z > caps.maxInvocations) {
      return {
        cannot: `a workgroup of ${x} x ${y} x ${z} is more than the device's ${caps.maxInvocations} invocations`,
      };
    }
    const dispatch = { kernel, ...spec, bindings: offer.bindings, workgroups: grid.workgroups };
    return { variant: this.name, dispatches: [dispatch] };
  }

  /** The text for a call; no look at its bindings, which needs a text that parses. */
  fill(call: OpCall<unknown>, caps: Capabilities): Filled | Cannot {
    const { wgsl, file } = this.source;
    const offer = this.#offer(call, caps);
    const names: Record<string, number | boolean> = {
      ...offer.constants,
      ...Object.fromEntries([...this.#knownFlags].map((flag) => [flag, offer.flags.has(flag)])),
      F16: caps.f16,
      SUBGROUPS: caps.subgroups,
      SUBGROUP_MIN: caps.subgroupMinSize,
      SUBGROUP_MAX: caps.subgroupMaxSize,
    };
    const includes = only(offer.includes, includeNames(wgsl));
    const declared = constantNames([wgsl, ...Object.values(includes)].join('\n'));
    const known = { ...names, ...constantValues(wgsl, names) };
    for (const condition of this.#header.when) {
      if (this.#value('when', condition, known) === 0) return { cannot: `it is for calls with ${condition}` };
    }
    for (const flag of offer.flags) {
      if (!this.#knows(flag, offer, declared)) return { cannot: `it has no block @if ${flag}` };
    }
    const own = [...this.#header.flags].filter(
      ([flag, condition]) => this.#value(`flag ${flag}`, condition, known) !== 0,
    );
    const flags = [...offer.flags, ...own.map(([flag]) => flag)].filter((flag) => this.#blocks.has(flag));
    const spec: Specialisation = {
      constants: only(offer.constants, declared),
      types: only(offer.types, typeNames(wgsl)),
      flags: [...new Set(flags)],
    };
    const kernel = { name: file, wgsl, includes };
    return { kernel, spec, wgsl: specialise(file, wgsl, { ...spec, includes }), offer, names };
  }

  #offer(call: OpCall<unknown>, caps: Capabilities): Offer {
    const plain = this.suite.op.variants[0]!.lower(call, caps);
    if (isCannot(plain)) throw new OptionError(`${this.suite.op.name}: ${plain.cannot}.`);
    const { dispatches } = plain;
    const facts = Object.entries(this.suite.facts ?? {}).filter(([, fact]) => fact.holds(call));
    const bindings = dispatches.flatMap((one) => Object.entries(one.bindings));
    return {
      constants: Object.assign({}, ...dispatches.map(({ constants }) => constants)),
      types: Object.assign({}, ...dispatches.map(({ types }) => types)),
      flags: new Set([...dispatches.flatMap(({ flags = [] }) => flags), ...facts.map(([name]) => name)]),
      includes: Object.assign({}, ...dispatches.map(({ kernel }) => kernel.includes)),
      bindings: Object.fromEntries(bindings.filter(([, operand]) => !('scratch' in operand))),
    };
  }

  /** Whether the kernel can tell a call with this flag from one without. */
  #knows(flag: string, offer: Offer, declared: ReadonlySet<string>): boolean {
    if (this.#blocks.has(flag)) return true;
    // Whether an optional operand is taken is for the bindings to say.
    if (Object.hasOwn(offer.bindings, flag.toLowerCase())) return true;
    const constants = this.suite.facts?.[flag]?.constants;
    if (constants && constants.length > 0 && constants.every((name) => declared.has(name))) return true;
    return this.#header.when.some((condition) => new RegExp(`\\b${flag}\\b`).test(condition));
  }

  #isWritten(operand: Operand): boolean {
    return (
      'output' in operand || ('input' in operand && (this.suite.op.writes ?? []).includes(operand.input))
    );
  }

  #bindingObstacle(
    { bindings }: ShaderLayout,
    wgsl: string,
    offer: Offer,
    call: OpCall<unknown>,
  ): Cannot | undefined {
    const { file } = this.source;
    const remedy = `${this.suite.op.name} has: ${[...this.#knownBindings].map(([name, { always }]) => (always ? name : `${name} (some calls)`)).join(', ')}.`;
    const scalars = storageScalars(wgsl);
    for (const [name, operand] of Object.entries(offer.bindings)) {
      const found = bindings.find((binding) => binding.name === name);
      const { always, output } = this.#knownBindings.get(name) ?? { always: false, output: false };
      if (!found) {
        if (always || output) throw new OptionError(`${file} has no binding ${name}.`, remedy);
        return { cannot: `it does not take ${name}` };
      }
      const writes = found.access === 'read_write';
      if (writes !== this.#isWritten(operand)) {
        throw new OptionError(`${file}: ${name} must be ${writes ? 'read' : 'read_write'}.`);
      }
      const type = typeOf(operand, call);
      const scalar = scalars.get(name);
      if (scalar && scalar !== type.dtype) return { cannot: `${name} is ${type.dtype}, it has ${scalar}` };
    }
    for (const { name } of bindings) {
      if (Object.hasOwn(offer.bindings, name)) continue;
      if (!this.#knownBindings.has(name)) throw new OptionError(`${file}: ${name} is no operand.`, remedy);
      return { cannot: `it wants ${name}, which the call does not have` };
    }
    return undefined;
  }

  #value(directive: string, text: string, names: Names): number {
    const [value, ...more] = this.#values(directive, text, names);
    if (value !== undefined && more.length === 0) return value;
    throw new OptionError(`${this.file}, ${directive}: "${text}" must be one value.`);
  }

  #values(directive: string, text: string, names: Names): number[] {
    try {
      return evaluateList(text, names);
    } catch (error) {
      if (!(error instanceof OptionError)) throw error;
      throw new OptionError(`${this.file}, ${directive}: ${error.fact}`, error.remedy);
    }
  }

  #grid(): string | undefined {
    return this.source.grid ?? this.#header.grid;
  }

  #workgroups(names: Names, caps: Capabilities): { readonly workgroups: [number, number, number] } | Cannot {
    const text = this.#grid()!;
    const found = this.#values('grid', text, names);
    const [x = 1, y = 1, z = 1] = found;
    const wrong = found.find((count) => !Number.isSafeInteger(count) || count < 1);
    if (found.length > 3 || wrong !== undefined) {
      throw new OptionError(
        `${this.source.file}: the grid "${text}" is ${found.join(', ')} here.`,
        'It must be one to three whole numbers of at least 1: use ceil(a / b).',
      );
    }
    const most = Math.max(x, y, z);
    if (most > caps.maxWorkgroupsPerDimension) return { cannot: `it needs ${most} workgroups along an axis` };
    return { workgroups: [x, y, z] };
  }
}

function typeOf(operand: Operand, { inputs, outputs }: OpCall<unknown>): TensorType {
  if ('input' in operand) return inputs[operand.input]!;
  if ('output' in operand) return outputs[operand.output]!;
  throw new Error('scratch is offered to nobody');
}

function only<T>(all: Readonly<Record<string, T>>, wanted: ReadonlySet<string>): Record<string, T> {
  return Object.fromEntries(Object.entries(all).filter(([name]) => wanted.has(name)));
}
