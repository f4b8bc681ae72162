/** How much of the device's limits a kernel takes, read off its WGSL text. */
import type { Capabilities } from '../../src/runtime/capabilities';
import { OptionError } from '../../src/runtime/errors';
import { evaluate, type Names } from './expression';
import { constantValues } from './template';

export interface Use {
  readonly used: number;
  readonly limit: number;
}

export interface Occupancy {
  /** Invocations of a workgroup. Of several dispatches the most, as everywhere here. */
  readonly invocations: Use;
  readonly workgroupBytes: Use;
  readonly storageBuffers: Use;
  readonly dispatches: number;
  /** Of all dispatches together. */
  readonly workgroups: number;
  /**
   * 32-bit words of variables and arrays that the kernel's functions declare with `var`: at least so many registers an invocation, if
   * the compiler keeps them there. Values between (`let`) are not counted, so that a compiler needs more.
   */
  readonly declaredWords: number;
  /** Types whose size is not known (a subgroup's matrices) are left out of the sums. */
  readonly incomplete: boolean;
}

/** A dispatch as its text: `wgsl` specialised, loops not unrolled, so that each variable stands once. */
export interface DispatchText {
  readonly wgsl: string;
  readonly workgroups: readonly [number, number, number];
}

export function occupancyOf(dispatches: readonly DispatchText[], caps: Capabilities): Occupancy {
  const each = dispatches.map(({ wgsl }) => textUse(wgsl));
  const most = (of: (one: TextUse) => number) => each.reduce((high, one) => Math.max(high, of(one)), 0);
  return {
    invocations: { used: most(({ size }) => size[0] * size[1] * size[2]), limit: caps.maxInvocations },
    workgroupBytes: { used: most((one) => one.workgroupBytes), limit: caps.maxWorkgroupStorage },
    storageBuffers: { used: most((one) => one.storageBuffers), limit: caps.maxStorageBuffers },
    dispatches: dispatches.length,
    workgroups: dispatches.reduce((sum, { workgroups: [x, y, z] }) => sum + x * y * z, 0),
    declaredWords: most(({ privateBytes }) => Math.ceil(privateBytes / 4)),
    incomplete: each.some((one) => one.incomplete),
  };
}

interface TextUse {
  readonly size: readonly [number, number, number];
  readonly workgroupBytes: number;
  readonly privateBytes: number;
  readonly storageBuffers: number;
  readonly incomplete: boolean;
}

function textUse(source: string): TextUse {
  const wgsl = source.replace(/\/\/[^\n]*/g, '').replace(/\/\*[\s\S]*?\*\//g, '');
  const constants = constantValues(wgsl);
  const types = new Types(wgsl, constants);
  let workgroupBytes = 0;
  let privateBytes = 0;
  let incomplete = false;
  for (const { space, type } of variables(wgsl)) {
    if (space === 'storage' || space === 'uniform') continue;
    const bytes = types.sizeOf(type)?.bytes;
    if (bytes === undefined) incomplete = true;
    else if (space === 'workgroup') workgroupBytes += Math.ceil(bytes / 16) * 16;
    else privateBytes += bytes;
  }
  return {
    size: workgroupSize(wgsl, constants),
    workgroupBytes,
    privateBytes,
    storageBuffers: [...wgsl.matchAll(/\bvar\s*<\s*storage\b/g)].length,
    incomplete,
  };
}

/** Invocations of a workgroup along x, y, z. @throws OptionError when the attribute is no arithmetic of constants. */
export function workgroupSize(
  wgsl: string,
  constants: Names = constantValues(wgsl),
): [number, number, number] {
  const start = wgsl.search(/@workgroup_size\s*\(/);
  if (start < 0) return [1, 1, 1];
  const inside = balanced(wgsl, wgsl.indexOf('(', start), '(', ')');
  if (inside === undefined) throw new OptionError('@workgroup_size does not close.');
  const [x = 1, y = 1, z = 1] = splitTop(inside).map((part) => evaluate(part, constants));
  return [x, y, z];
}

/** Declarations with `var` and their types, where these are written or show in the initial value. */
function* variables(wgsl: string): Iterable<{ readonly space: string; readonly type: string }> {
  for (const match of wgsl.matchAll(/\bvar\s*(?:<\s*(\w+)[^>]*>)?\s*\w+\s*(:|=)\s*/g)) {
    const [whole, space = 'function', sign] = match;
    const rest = wgsl.slice(match.index + whole.length);
    if (sign === ':') {
      yield { space, type: typeAt(rest) };
    } else if (/^(array|vec[234]|mat[234]x[234]|f32|f16|i32|u32)\s*[<(fhiu]/.test(rest)) {
      yield { space, type: typeAt(rest) };
    } else {
      // The value of an expression: one word is the least.
      yield { space, type: 'f32' };
    }
  }
}

/** The type that a text begins with. */
function typeAt(text: string): string {
  const name = /^\w+/.exec(text)?.[0] ?? '';
  const after = text.slice(name.length).trimStart();
  if (!after.startsWith('<')) return name;
  return `${name}<${balanced(after, 0, '<', '>') ?? ''}>`;
}

/** What stands between the bracket at `at` and the one that closes it. */
function balanced(text: string, at: number, open: string, close: string): string | undefined {
  let depth = 0;
  for (let i = at; i < text.length; i++) {
    if (text[i] === open) depth++;
    else if (text[i] === close && --depth === 0) return text.slice(at + 1, i);
  }
  return undefined;
}

/** Parts between commas that stand in no bracket. */
function splitTop(text: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let from = 0;
  for (let i = 0; i <= text.length; i++) {
    const c = text[i];
    if (c === '<' || c === '(') depth++;
    else if (c === '>' || c === ')') depth--;
    else if (c === undefined || (c === ',' && depth === 0)) {
      parts.push(text.slice(from, i).trim());
      from = i + 1;
    }
  }
  return parts.filter((part) => part !== '');
}

interface Size {
  readonly bytes: number;
  readonly align: number;
}

/** Sizes of WGSL's types (specification, "Alignment and size"), aliases and constants resolved. */
class Types {
  readonly #aliases: ReadonlyMap<string, string>;

  constructor(
    wgsl: string,
    private readonly constants: Names,
  ) {
    this.#aliases = new Map(
      Array.from(wgsl.matchAll(/^alias\s+(\w+)\s*=\s*([^;]+);/gm), (match) => [match[1]!, match[2]!.trim()]),
    );
  }

  /** Undefined for what is not known: structures, a subgroup's matrices, arrays of run-time size. */
  sizeOf(type: string, depth = 0): Size | undefined {
    if (depth > 20) return undefined;
    const scalar = { f32: 4, i32: 4, u32: 4, bool: 4, f16: 2 }[type];
    if (scalar) return { bytes: scalar, align: scalar };
    const alias = this.#aliases.get(type);
    if (alias) return this.sizeOf(alias, depth + 1);
    const [, name, inside = ''] = /^(\w+?)(?:<(.*)>)?$/s.exec(type) ?? [];
    const args = splitTop(inside);
    const short = /^(vec[234]|mat[234]x[234])([fhiu])$/.exec(type);
    if (short) {
      const element = short[2] === 'h' ? 'f16' : 'f32';
      return this.sizeOf(`${short[1]}<${element}>`, depth + 1);
    }
    const inner = args[0] === undefined ? undefined : this.sizeOf(args[0], depth + 1);
    if (!inner) return undefined;
    if (name === 'atomic') return inner;
    const vector = /^vec([234])$/.exec(name!)?.[1];
    if (vector) return vectorSize(Number(vector), inner.bytes);
    const matrix = /^mat([234])x([234])$/.exec(name!);
    if (matrix) {
      const column = vectorSize(Number(matrix[2]), inner.bytes);
      return { bytes: Number(matrix[1]) * roundTo(column.bytes, column.align), align: column.align };
    }
    if (name !== 'array' || args.length !== 2) return undefined;
    try {
      const length = evaluate(args[1]!, this.constants);
      return { bytes: length * roundTo(inner.bytes, inner.align), align: inner.align };
    } catch (error) {
      if (error instanceof OptionError) return undefined;
      throw error;
    }
  }
}

function vectorSize(lanes: number, scalar: number): Size {
  return { bytes: lanes * scalar, align: (lanes === 3 ? 4 : lanes) * scalar };
}

function roundTo(bytes: number, align: number): number {
  return Math.ceil(bytes / align) * align;
}
