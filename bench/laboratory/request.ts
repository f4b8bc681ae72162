/** Turns words (a command line's or a form's) into a suite and a case. */
import type { ShapedCases } from '../../src/kernels/suite';
import { suites } from '../../src/kernels/suites';
import type { Capabilities } from '../../src/runtime/capabilities';
import { LimitError, OptionError } from '../../src/runtime/errors';
import { byteSize, describe } from '../../src/runtime/tensor-type';
import { type AnyCase, type AnySuite, callOf, usesF16 } from '../../test/kernels/run-case';

export interface CaseWords {
  /** Sizes with x between: 290x1024x4096. */
  readonly shape?: string;
  /** A case of the table, by its name or a part that only one has. */
  readonly case?: string;
  readonly dtype?: 'f32' | 'f16';
  /** Of the op's own choices; left out: the usual ones. */
  readonly choices?: Readonly<Record<string, string | boolean>>;
}

/** @throws OptionError that lists the ops there are. */
export function suiteNamed(name: string): AnySuite {
  const suite = suites.find(({ op }) => op.name === name);
  if (suite) return suite;
  throw new OptionError(
    `There is no op ${name}.`,
    `There are: ${suites.map(({ op }) => op.name).join(', ')}.`,
  );
}

/** Every choice that some op has, with the ops' names. */
export function allChoices(): Map<
  string,
  { readonly values: readonly string[] | 'flag'; readonly ops: string[] }
> {
  const found = new Map<string, { values: readonly string[] | 'flag'; ops: string[] }>();
  for (const { op, shaped } of suites) {
    for (const [name, values] of Object.entries(shaped?.choices ?? {})) {
      const known = found.get(name);
      if (known) known.ops.push(op.name);
      else found.set(name, { values, ops: [op.name] });
    }
  }
  return found;
}

/** The case that is meant. @throws OptionError; ShapeError for sizes that the op refuses. */
export function caseOf(suite: AnySuite, words: CaseWords): AnyCase {
  const { op, shaped } = suite;
  const given = Object.entries(words.choices ?? {});
  if (words.shape === undefined) {
    const [choice] = given;
    if (choice)
      throw new OptionError(`${choice[0]} goes with a shape.`, 'Cases of the table have their own.');
    return tableCase(suite, words);
  }
  if (words.case !== undefined) throw new OptionError('A case has a shape already.', 'Give one of the two.');
  if (!shaped) {
    throw new OptionError(
      `${op.name} has no natural shape.`,
      `Name a case of its table: ${suite.cases.map(({ name }) => name).join('; ')}.`,
    );
  }
  return shaped.make(
    sizesOf(op.name, shaped, words.shape),
    words.dtype ?? 'f32',
    choicesOf(op.name, shaped, given),
  );
}

/** @throws LimitError before gigabytes of operands are made up. */
export function assertFits(suite: AnySuite, one: AnyCase, caps: Capabilities): void {
  const { inputs, outputs } = callOf(suite, one);
  for (const type of [...inputs, ...outputs]) {
    if (byteSize(type) > caps.maxBindingBytes) {
      throw new LimitError(
        'maxStorageBufferBindingSize',
        byteSize(type),
        caps.maxBindingBytes,
        `${suite.op.name} ${one.name}: ${describe(type)} is too large: take a smaller shape.`,
      );
    }
  }
}

function tableCase(suite: AnySuite, { case: name, dtype }: CaseWords): AnyCase {
  const typed = suite.cases.filter(
    (one) => dtype === undefined || usesF16(callOf(suite, one)) === (dtype === 'f16'),
  );
  if (name === undefined) {
    const first = typed.find(({ bench }) => bench) ?? typed[0];
    if (first) return first;
    throw new OptionError(`${suite.op.name} has no case of ${dtype}.`);
  }
  const exact = typed.filter((one) => one.name === name);
  const found = exact.length > 0 ? exact : typed.filter((one) => one.name.includes(name));
  if (found.length === 1) return found[0]!;
  throw new OptionError(
    `${found.length === 0 ? 'No case' : `${found.length} cases`} of ${suite.op.name} ${found.length === 0 ? 'has' : 'have'} "${name}" in the name.`,
    `There are: ${(found.length > 0 ? found : typed).map((one) => one.name).join('; ')}.`,
  );
}

function sizesOf(op: string, { axes }: ShapedCases<unknown>, text: string): number[] {
  const sizes = text.split(/[x,]/).map((part) => (/^\d{1,9}$/.test(part.trim()) ? Number(part) : Number.NaN));
  const any = axes[0] === '...';
  if (sizes.every((size) => size >= 1) && (any ? sizes.length <= 6 : sizes.length === axes.length))
    return sizes;
  const wanted = any
    ? 'one to six whole numbers with x between, the last the length of a row'
    : axes.join(' x ');
  throw new OptionError(`"${text}" is no shape of ${op}.`, `It is ${wanted}.`);
}

function choicesOf(
  op: string,
  { choices = {} }: ShapedCases<unknown>,
  given: readonly (readonly [string, string | boolean])[],
): Record<string, string | boolean> {
  const chosen: Record<string, string | boolean> = Object.fromEntries(
    Object.entries(choices).map(([name, values]) => [name, values === 'flag' ? false : values[0]!]),
  );
  for (const [name, value] of given) {
    const values = Object.hasOwn(choices, name) ? choices[name] : undefined;
    if (!values) {
      throw new OptionError(
        `${op} has no ${name}.`,
        `It has: ${Object.keys(choices).join(', ') || 'nothing to choose'}.`,
      );
    }
    const right = values === 'flag' ? typeof value === 'boolean' : values.includes(String(value));
    if (!right)
      throw new OptionError(
        `${name} of ${op} cannot be ${value}.`,
        `It is ${values === 'flag' ? 'on or off' : values.join(', ')}.`,
      );
    chosen[name] = value;
  }
  return chosen;
}
