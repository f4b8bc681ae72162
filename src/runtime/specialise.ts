/**
 * Turns a WGSL template into the text of one pipeline.
 *
 * A template is valid WGSL by itself (editors and wgsl_reflect parse it, all optional blocks on), but for functions
 * that an include brings. Five things are filled in:
 * - `const N: u32 = 4u;` and `override N: u32 = 4u;` at module scope take a given value and become `const`. Baking keeps
 *   them usable as array sizes in function scope, where `override` is not allowed, and lets every compiler fold them.
 * - `alias T = f32;` takes a given type; any f16 adds `enable f16;`.
 * - `// @include NAME` takes the text of that name, so that kernels share functions.
 * - `// @if NAME` ... `// @else` ... `// @end` lines keep one side. `// @if !NAME` negates.
 * - `// @unroll` before a `for (var i = A; i < B; i++) {` whose bounds are literals or constants repeats its body with `i`
 *   replaced: Tint does not unroll loops, and register arrays with constant indices become registers everywhere.
 */
import { MlaLpError } from './errors';
import type { Dtype } from './tensor-type';

export interface Specialisation {
  readonly constants?: Readonly<Record<string, number | boolean>>;
  readonly types?: Readonly<Record<string, Dtype>>;
  readonly flags?: readonly string[];
  readonly includes?: Readonly<Record<string, string>>;
  /** false leaves `// @unroll` loops as they are, for compilers that choke on long bodies. */
  readonly unroll?: boolean;
}

function fail(name: string, fact: string): never {
  throw new MlaLpError(
    'bad-value',
    `WGSL template ${name}: ${fact}`,
    'Compare the dispatch with the template.',
  );
}

/** @throws MlaLpError when a constant, type, block or include named here does not stand in the template. */
export function specialise(name: string, template: string, given: Specialisation = {}): string {
  let text = keepBlocks(name, include(name, template, given.includes ?? {}), new Set(given.flags ?? []));
  const constants = new Map<string, number>();
  const unused = new Set(Object.keys(given.constants ?? {}));
  text = text.replace(
    /^(const|override)\s+(\w+)\s*:\s*(u32|i32|f32|bool)\s*=\s*([^;]+);/gm,
    (_line, _kind: string, id: string, type: string, initial: string) => {
      const value = given.constants?.[id];
      unused.delete(id);
      const literal = value === undefined ? initial.trim() : literalOf(name, id, type, value);
      const number = Number(literal.replace(/[uif]$/, ''));
      if (Number.isFinite(number)) constants.set(id, number);
      return `const ${id}: ${type} = ${literal};`;
    },
  );
  if (unused.size > 0) fail(name, `it has no constant ${[...unused].join(', ')}.`);
  const untyped = new Set(Object.keys(given.types ?? {}));
  text = text.replace(/^alias\s+(\w+)\s*=\s*(f32|f16|u32)\s*;/gm, (line, id: string) => {
    const type = given.types?.[id];
    untyped.delete(id);
    return type === undefined ? line : `alias ${id} = ${type};`;
  });
  if (untyped.size > 0) fail(name, `it has no alias ${[...untyped].join(', ')}.`);
  if (given.unroll !== false) text = unroll(name, text, constants);
  const needsF16 = /^alias\s+\w+\s*=\s*f16\s*;/m.test(text) && !/^enable f16;/m.test(text);
  return needsF16 ? `enable f16;\n${text}` : text;
}

function include(name: string, template: string, includes: Readonly<Record<string, string>>): string {
  const unused = new Set(Object.keys(includes));
  const text = template.replace(/^\/\/ @include (\w+)$/gm, (_line, id: string) => {
    unused.delete(id);
    const included = includes[id];
    if (included === undefined) fail(name, `the dispatch brings no text for @include ${id}.`);
    return included;
  });
  if (unused.size > 0) fail(name, `it has no line @include ${[...unused].join(', ')}.`);
  return text;
}

function literalOf(name: string, id: string, type: string, value: number | boolean): string {
  if (type === 'bool') return String(Boolean(value));
  const number = Number(value);
  if (type === 'f32') {
    if (!Number.isFinite(Math.fround(number))) fail(name, `${id} = ${value} is no f32.`);
    const text = String(Math.fround(number));
    return /[.e]/.test(text) ? `${text}f` : `${text}.0f`;
  }
  const [least, most] = type === 'u32' ? [0, 2 ** 32 - 1] : [-(2 ** 31), 2 ** 31 - 1];
  if (!Number.isSafeInteger(number) || number < least || number > most)
    fail(name, `${id} = ${value} is no ${type}.`);
  return type === 'u32' ? `${number}u` : `${number}i`;
}

function keepBlocks(name: string, template: string, flags: ReadonlySet<string>): string {
  const known = new Set<string>();
  const stack: { keep: boolean; outer: boolean }[] = [];
  let keep = true;
  const lines: string[] = [];
  for (const line of template.split('\n')) {
    const directive = /^\s*\/\/ @(if|else|end)\b\s*(!?)(\w*)/.exec(line);
    if (!directive) {
      if (keep) lines.push(line);
      continue;
    }
    const [, word, negated, flag] = directive;
    if (word === 'if') {
      known.add(flag!);
      stack.push({ outer: keep, keep });
      keep = keep && flags.has(flag!) !== (negated === '!');
      stack[stack.length - 1]!.keep = keep;
    } else {
      const top = stack[stack.length - 1];
      if (!top) fail(name, `@${word} without @if.`);
      if (word === 'else') keep = top.outer && !top.keep;
      else keep = stack.pop()!.outer;
    }
  }
  if (stack.length > 0) fail(name, '@if without @end.');
  for (const flag of flags) if (!known.has(flag)) fail(name, `it has no block @if ${flag}.`);
  return lines.join('\n');
}

const LOOP = /\/\/ @unroll[^\n]*\n\s*for \(var (\w+)(?:: u32)? = (\w+); \1 < (\w+); \1\+\+\) \{/;

function unroll(name: string, source: string, constants: ReadonlyMap<string, number>): string {
  const bound = (text: string): number => {
    const value = constants.get(text) ?? Number(text.replace(/u$/, ''));
    if (!Number.isInteger(value)) fail(name, `@unroll: ${text} is neither a number nor a constant.`);
    return value;
  };
  let text = source;
  for (let match = LOOP.exec(text); match; match = LOOP.exec(text)) {
    const [head, id, from, to] = match as unknown as [string, string, string, string];
    const start = match.index + head.length;
    let depth = 1;
    let end = start;
    while (depth > 0) {
      const c = text[end++];
      if (c === undefined) fail(name, '@unroll: the loop does not close.');
      if (c === '{') depth++;
      if (c === '}') depth--;
    }
    const body = text.slice(start, end - 1);
    const copies: string[] = [];
    for (let i = bound(from); i < bound(to); i++) {
      copies.push(`{${body.replace(new RegExp(`\\b${id}\\b`, 'g'), `${i}u`)}}`);
    }
    text = text.slice(0, match.index) + copies.join('\n') + text.slice(end);
  }
  if (/^\s*\/\/ @unroll/m.test(text)) fail(name, '@unroll is not followed by a loop of the form it knows.');
  return text;
}
