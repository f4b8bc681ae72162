/** What a WGSL template says about itself: constants, types, blocks, includes, and the header comments of a user's own kernel. */
import { OptionError } from '../../src/runtime/errors';
import { evaluate, type Names } from './expression';

export interface Header {
  /** `// grid: x, y, z` */
  readonly grid?: string;
  /** `// when: condition`, all of them: calls that the kernel is for. */
  readonly when: readonly string[];
  /** `// flag NAME: condition`: blocks that the kernel switches by itself. */
  readonly flags: ReadonlyMap<string, string>;
}

/** The directives that `// name: ...` comments at the beginning of a line give. @throws OptionError for two grids. */
export function readHeader(wgsl: string): Header {
  let grid: string | undefined;
  const when: string[] = [];
  const flags = new Map<string, string>();
  for (const [, kind, name, value] of wgsl.matchAll(/^\/\/ (?:(grid|when)|flag (\w+)): (.+)$/gm)) {
    const text = value!.trim();
    if (name) flags.set(name, text);
    else if (kind === 'when') when.push(text);
    else if (grid === undefined) grid = text;
    else throw new OptionError('The kernel has two "// grid:" lines.', 'Keep one.');
  }
  return { ...(grid !== undefined && { grid }), when, flags };
}

/** Names of module-scope constants. */
export function constantNames(wgsl: string): Set<string> {
  return names(wgsl, /^(?:const|override)\s+(\w+)\s*:\s*(?:u32|i32|f32|bool)\s*=/gm);
}

/** Names of aliases that stand for a storage type. */
export function typeNames(wgsl: string): Set<string> {
  return names(wgsl, /^alias\s+(\w+)\s*=\s*(?:f32|f16|u32)\s*;/gm);
}

/** Names in `// @if NAME` and `// @if !NAME`. */
export function blockNames(wgsl: string): Set<string> {
  return names(wgsl, /^\s*\/\/ @if\b\s*!?(\w+)/gm);
}

export function includeNames(wgsl: string): Set<string> {
  return names(wgsl, /^\/\/ @include (\w+)$/gm);
}

function names(wgsl: string, pattern: RegExp): Set<string> {
  return new Set(Array.from(wgsl.matchAll(pattern), (match) => match[1]!));
}

/**
 * Values of the module-scope constants that are plain arithmetic, in order.
 * @param given names that they may use; a constant that is given keeps that value.
 */
export function constantValues(wgsl: string, given: Names = {}): Record<string, number | boolean> {
  const values: Record<string, number | boolean> = {};
  const known: Record<string, number | boolean> = { ...given };
  for (const [, name, initial] of wgsl.matchAll(
    /^(?:const|override)\s+(\w+)\s*(?::\s*\w+\s*)?=\s*([^;]+);/gm,
  )) {
    const text = initial!.trim();
    try {
      if (!Object.hasOwn(given, name!))
        known[name!] = text === 'true' || (text !== 'false' && evaluate(text, known));
      values[name!] = known[name!]!;
    } catch (error) {
      // Other constants (vectors, texts beyond arithmetic) have no say in a size.
      if (!(error instanceof OptionError)) throw error;
    }
  }
  return values;
}

/** Storage bindings of a specialised text and the scalar that each holds, where that can be told. */
export function storageScalars(wgsl: string): Map<string, string | undefined> {
  const aliases = new Map(
    Array.from(wgsl.matchAll(/^alias\s+(\w+)\s*=\s*([^;]+);/gm), (match) => [match[1]!, match[2]!.trim()]),
  );
  const scalarOf = (type: string): string | undefined => {
    let inner = type.trim();
    for (let depth = 0; depth < 10; depth++) {
      if (/^(f32|f16|u32|i32)$/.test(inner)) return inner;
      const short = /^(?:vec[234]|mat[234]x[234])([fhiu])$/.exec(inner)?.[1];
      if (short) return { f: 'f32', h: 'f16', i: 'i32', u: 'u32' }[short];
      inner = aliases.get(inner) ?? /^\w+\s*<\s*([^,]*?)\s*(?:,[^<>]*)?>$/.exec(inner)?.[1] ?? '';
    }
    return undefined;
  };
  return new Map(
    Array.from(wgsl.matchAll(/\bvar\s*<\s*storage\b[^>]*>\s*(\w+)\s*:\s*([^;]+);/g), (match) => [
      match[1]!,
      scalarOf(match[2]!),
    ]),
  );
}
