/**
 * Turns a graph into dispatches with addresses: unneeded nodes dropped, variants chosen, and intermediates laid out in a
 * few arena buffers by liveness.
 *
 * WebGPU forbids one buffer to be read-only and writable within a dispatch, whatever the ranges. So two tensors that some
 * dispatch uses in opposite roles never share an arena.
 */
import type { Capabilities } from './capabilities';
import { LimitError, MlaLpError } from './errors';
import type { Graph, GraphNode, Tensor } from './graph';
import { type Dispatch, isCannot, type Lowering, type OpCall, type Operand } from './op';
import { reflect, type ShaderLayout } from './reflect';
import { specialise } from './specialise';
import { byteSize, describe, roundUp, type TensorType } from './tensor-type';
import { TunedLookup, type TunedTable } from './tuned';

const ALIGNMENT = 256; // minStorageBufferOffsetAlignment of every known adapter; the largest the specification allows

/** Bytes that a binding covers: a graph tensor's, or a node's scratch. */
export interface Slot {
  readonly name: string;
  readonly bytes: number;
  /** Steps in which the bytes must hold; inclusive. */
  first: number;
  last: number;
  arena: number;
  offset: number;
}

export type Place =
  | { readonly kind: 'arena'; readonly slot: Slot }
  | { readonly kind: 'input' | 'weight'; readonly tensor: Tensor };

export interface PlannedDispatch {
  readonly dispatch: Dispatch;
  readonly wgsl: string;
  readonly layout: ShaderLayout;
  /** In the order of `layout.bindings`. */
  readonly places: readonly Place[];
}

export interface Step {
  readonly node: GraphNode;
  readonly variant: string;
  readonly flops: number;
  /** Bytes of all operands, each counted once: the least that must move. */
  readonly bytes: number;
  readonly dispatches: readonly PlannedDispatch[];
}

export interface Plan {
  readonly graph: Graph;
  readonly steps: readonly Step[];
  readonly slots: readonly Slot[];
  /** Size of each arena buffer in bytes. */
  readonly arenas: readonly number[];
  /** The place of each graph output. */
  readonly outputs: ReadonlyMap<string, { readonly slot: Slot; readonly type: TensorType }>;
  readonly flops: number;
}

export interface PlanOptions {
  /** Op name -> variant to use whatever `choose` and tuned tables say (tests and benchmarks). */
  readonly variants?: Readonly<Record<string, string>>;
  /** Instead of the device's own table. */
  readonly tuned?: TunedTable;
}

/** The lowering of one node. @throws MlaLpError when the named or chosen variant does not apply. */
export function lower<A>(
  node: Pick<GraphNode, 'op' | 'label'>,
  call: OpCall<A>,
  caps: Capabilities,
  wanted?: string,
): Lowering {
  const name = wanted ?? node.op.choose(call as OpCall<unknown>, caps);
  const variant = node.op.variants.find((v) => v.name === name);
  if (!variant) {
    const names = node.op.variants.map((v) => v.name).join(', ');
    throw new MlaLpError('bad-option', `${node.label} has no variant ${name}.`, `It has: ${names}.`);
  }
  const lowering = variant.lower(call as OpCall<unknown>, caps);
  if (isCannot(lowering)) {
    throw new MlaLpError(
      'unsupported-feature',
      `${node.label}: variant ${name} cannot run: ${lowering.cannot}.`,
      '',
    );
  }
  return lowering;
}

/** @throws LimitError when a tensor is larger than a binding may be. */
export function plan(graph: Graph, caps: Capabilities, options: PlanOptions = {}): Plan {
  const nodes = neededNodes(graph);
  const slots = new Map<Tensor, Slot>();
  const all: Slot[] = [];
  const newSlot = (name: string, type: TensorType, step: number): Slot => {
    const bytes = byteSize(type);
    if (bytes > caps.maxBindingBytes) {
      throw new LimitError(
        'maxStorageBufferBindingSize',
        bytes,
        caps.maxBindingBytes,
        `${name} ${describe(type)} is too large: use a smaller batch or image size.`,
      );
    }
    const slot: Slot = { name, bytes, first: step, last: step, arena: -1, offset: 0 };
    all.push(slot);
    return slot;
  };

  const tuned = new TunedLookup(options.tuned ?? caps.tuned ?? new Map(), caps);
  const steps = nodes.map((node, index): Step => {
    const call: OpCall<unknown> = {
      inputs: node.inputs.map((t) => t.type),
      outputs: node.outputs.map((t) => t.type),
      attrs: node.attrs,
    };
    const wanted = options.variants?.[node.op.name] ?? tuned.find(node.op, call);
    const lowering = lower(node, call, caps, wanted);
    for (const output of node.outputs) slots.set(output, newSlot(output.name, output.type, index));
    const scratch = (lowering.scratch ?? []).map((type, i) =>
      newSlot(`${node.label} scratch ${i}`, type, index),
    );
    const placeOf = (operand: Operand): Place => {
      if ('scratch' in operand) return { kind: 'arena', slot: scratch[operand.scratch]! };
      const tensor = ('input' in operand ? node.inputs[operand.input] : node.outputs[operand.output])!
        .storage;
      if (tensor.origin === 'input' || tensor.origin === 'weight') return { kind: tensor.origin, tensor };
      const slot = slots.get(tensor)!;
      slot.last = index;
      return { kind: 'arena', slot };
    };
    return {
      node,
      variant: lowering.variant,
      flops: node.op.flops(call),
      bytes: [...node.inputs, ...node.outputs].reduce((sum, t) => sum + byteSize(t.type), 0),
      dispatches: lowering.dispatches.map((dispatch) => planDispatch(dispatch, node, placeOf)),
    };
  });

  const outputs = new Map<string, { slot: Slot; type: TensorType }>();
  for (const [name, tensor] of graph.outputs) {
    const slot = slots.get(tensor.storage)!;
    slot.last = steps.length;
    outputs.set(name, { slot, type: tensor.type });
  }
  const arenas = allocate(all, conflictsOf(steps), caps);
  return { graph, steps, slots: all, arenas, outputs, flops: steps.reduce((sum, s) => sum + s.flops, 0) };
}

/** Nodes that some output or effect needs, in building order (which is topological). */
function neededNodes(graph: Graph): GraphNode[] {
  const needed = new Set<GraphNode>();
  const stack = [...graph.outputs.values()].map((t) => t.storage.producer!);
  stack.push(...graph.nodes.filter((node) => node.op.writes));
  for (let node = stack.pop(); node; node = stack.pop()) {
    if (needed.has(node)) continue;
    needed.add(node);
    for (const input of node.inputs) if (input.storage.producer) stack.push(input.storage.producer);
  }
  return graph.nodes.filter((node) => needed.has(node));
}

function planDispatch(
  dispatch: Dispatch,
  { label, op }: GraphNode,
  placeOf: (operand: Operand) => Place,
): PlannedDispatch {
  const { wgsl, layout } = shaderOf(dispatch);
  const unknown = new Set(Object.keys(dispatch.bindings));
  const places = layout.bindings.map(({ name, access }) => {
    const operand = dispatch.bindings[name];
    if (!operand)
      throw new MlaLpError('bad-value', `${label}: ${dispatch.kernel.name} needs the binding ${name}.`, '');
    unknown.delete(name);
    if (access === 'read_write' && 'input' in operand && !op.writes?.includes(operand.input)) {
      throw new MlaLpError(
        'bad-value',
        `${label}: ${dispatch.kernel.name} may write ${name}, an operand that the op does not list in \`writes\`.`,
        '',
      );
    }
    return placeOf(operand);
  });
  if (unknown.size > 0) {
    throw new MlaLpError(
      'bad-value',
      `${label}: ${dispatch.kernel.name} has no binding ${[...unknown].join(', ')}.`,
      '',
    );
  }
  return { dispatch, wgsl, layout, places };
}

type Shader = Pick<PlannedDispatch, 'wgsl' | 'layout'>;

/** Template -> what is filled in -> shader. A tower repeats its blocks' dispatches, and a graph is planned more than once. */
const shaders = new Map<string, Map<string, Shader>>();

function shaderOf({ kernel, constants, types, flags, unroll }: Dispatch): Shader {
  const { name, wgsl, includes = {} } = kernel;
  const known = shaders.get(wgsl) ?? new Map<string, Shader>();
  shaders.set(wgsl, known);
  const given = { constants, types, flags, includes };
  const key = JSON.stringify([name, given, unroll]);
  let shader = known.get(key);
  if (!shader) {
    // Numbers, types and unrolling change no binding: without them fewer and shorter texts are parsed, which is slow.
    const layout = reflect(name, specialise(name, wgsl, { flags, includes, unroll: false }));
    shader = { wgsl: specialise(name, wgsl, { ...given, unroll }), layout };
    known.set(key, shader);
  }
  return shader;
}

/** For each slot the slots that some dispatch uses in the opposite role. */
function conflictsOf(steps: readonly Step[]): Map<Slot, Set<Slot>> {
  const conflicts = new Map<Slot, Set<Slot>>();
  const add = (a: Slot, b: Slot) => {
    const set = conflicts.get(a) ?? new Set();
    conflicts.set(a, set.add(b));
  };
  for (const { places, layout } of steps.flatMap((step) => step.dispatches)) {
    const reads: Slot[] = [];
    const writes: Slot[] = [];
    places.forEach((place, i) => {
      if (place.kind === 'arena') (layout.bindings[i]!.access === 'read' ? reads : writes).push(place.slot);
    });
    for (const r of reads) {
      for (const w of writes) {
        add(r, w);
        add(w, r);
      }
    }
  }
  return conflicts;
}

/** Largest first, each at the lowest free offset of the arena that grows least. Returns the arenas' sizes. */
function allocate(
  slots: readonly Slot[],
  conflicts: ReadonlyMap<Slot, ReadonlySet<Slot>>,
  caps: Capabilities,
): number[] {
  const arenas: { size: number; placed: Slot[] }[] = [];
  const order = [...slots].sort((a, b) => b.bytes - a.bytes || a.first - b.first);
  for (const slot of order) {
    let best: { arena: number; offset: number; growth: number } | undefined;
    const enemies = conflicts.get(slot);
    for (let a = 0; a <= arenas.length; a++) {
      const arena = arenas[a] ?? { size: 0, placed: [] };
      if (arena.placed.some((other) => enemies?.has(other))) continue;
      const offset = lowestFree(slot, arena.placed);
      const end = offset + slot.bytes;
      if (end > caps.maxBufferBytes) continue;
      const growth = Math.max(0, end - arena.size);
      if (!best || growth < best.growth) best = { arena: a, offset, growth };
    }
    // A fresh arena (a === arenas.length) always fits: bytes <= maxBindingBytes <= maxBufferBytes.
    const { arena: index, offset } = best!;
    arenas[index] ??= { size: 0, placed: [] };
    const arena = arenas[index]!;
    arena.size = Math.max(arena.size, roundUp(offset + slot.bytes, ALIGNMENT));
    arena.placed.push(slot);
    slot.arena = index;
    slot.offset = offset;
  }
  return arenas.map((arena) => arena.size);
}

function lowestFree(slot: Slot, placed: readonly Slot[]): number {
  const alive = placed
    .filter((other) => other.first <= slot.last && slot.first <= other.last)
    .sort((a, b) => a.offset - b.offset);
  let offset = 0;
  for (const other of alive) {
    if (offset + slot.bytes <= other.offset) break;
    offset = Math.max(offset, roundUp(other.offset + other.bytes, ALIGNMENT));
  }
  return offset;
}

/** A listing for people: per step the variant, the output, FLOPs and bytes; then the totals. */
export function formatPlan(p: Plan): string {
  const mega = (n: number) => (n / 1e6).toFixed(2);
  const rows = p.steps.map((step) => {
    const out = step.node.outputs.map((t) => describe(t.type)).join(' ');
    return `${step.node.label.padEnd(34)} ${step.variant.padEnd(14)} ${out.padEnd(22)} ${mega(step.flops).padStart(10)} MFLOP ${mega(step.bytes).padStart(8)} MB`;
  });
  const total = p.arenas.reduce((sum, n) => sum + n, 0);
  const unshared = p.slots.reduce((sum, s) => sum + s.bytes, 0);
  const dispatches = p.steps.reduce((sum, s) => sum + s.dispatches.length, 0);
  rows.push(
    `${p.steps.length} nodes, ${dispatches} dispatches, ${(p.flops / 1e9).toFixed(2)} GFLOP; ` +
      `${p.arenas.length} arenas, ${mega(total)} MB (${mega(unshared)} MB without sharing)`,
  );
  return rows.join('\n');
}
