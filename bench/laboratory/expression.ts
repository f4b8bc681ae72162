/**
 * Arithmetic out of a comment, a flag or a WGSL constant, computed without `eval`: + - * / %, comparisons, && || !, parentheses,
 * ceil, floor, min, max, and names that the caller knows. Numbers may end in WGSL's u, i, f. Division is that of real numbers.
 */
import { OptionError } from '../../src/runtime/errors';

/** Values of names; true counts as 1, false as 0. */
export type Names = Readonly<Record<string, number | boolean>>;

const LONGEST = 500;
const DEEPEST = 50;

/** Operators that bind alike, loosest first. */
const LEVELS = [['||'], ['&&'], ['==', '!=', '<=', '>=', '<', '>'], ['+', '-'], ['*', '/', '%']] as const;

const OPERATORS: Readonly<Record<string, (a: number, b: number) => number>> = {
  '||': (a, b) => (a !== 0 || b !== 0 ? 1 : 0),
  '&&': (a, b) => (a !== 0 && b !== 0 ? 1 : 0),
  '==': (a, b) => (a === b ? 1 : 0),
  '!=': (a, b) => (a !== b ? 1 : 0),
  '<=': (a, b) => (a <= b ? 1 : 0),
  '>=': (a, b) => (a >= b ? 1 : 0),
  '<': (a, b) => (a < b ? 1 : 0),
  '>': (a, b) => (a > b ? 1 : 0),
  '+': (a, b) => a + b,
  '-': (a, b) => a - b,
  '*': (a, b) => a * b,
  '/': (a, b) => a / b,
  '%': (a, b) => a % b,
};

const FUNCTIONS: Readonly<Record<string, (...values: number[]) => number>> = {
  ceil: Math.ceil,
  floor: Math.floor,
  min: Math.min,
  max: Math.max,
};

/** The value of an expression. @throws OptionError saying what is wrong, and which names there are. */
export function evaluate(text: string, names: Names): number {
  const [value, ...more] = evaluateList(text, names);
  if (value === undefined || more.length > 0) fail(text, 'one value is wanted');
  return value;
}

/** The values of expressions with commas between. @throws OptionError */
export function evaluateList(text: string, names: Names): number[] {
  return new Parser(text, names).list();
}

function fail(text: string, fact: string, remedy = ''): never {
  throw new OptionError(`Expression "${text.slice(0, 120)}": ${fact}.`, remedy);
}

class Parser {
  readonly #tokens: readonly string[];
  #at = 0;
  #depth = 0;

  constructor(
    private readonly text: string,
    private readonly names: Names,
  ) {
    if (text.length > LONGEST) fail(text, `it is longer than ${LONGEST} characters`);
    const tokens: string[] = [];
    const pattern = /\s*(?:(\d+(?:\.\d*)?(?:[uif]\b)?|[A-Za-z_]\w*|\|\||&&|[=!<>]=|[-+*/%(),<>!]))/y;
    const end = text.trimEnd().length;
    for (let at = 0; at < end; at = pattern.lastIndex) {
      pattern.lastIndex = at;
      const [, token] = pattern.exec(text) ?? [];
      if (token === undefined) fail(text, `"${text.slice(at).trim()[0]}" means nothing here`);
      tokens.push(token);
    }
    this.#tokens = tokens;
  }

  list(): number[] {
    const values = [this.#level(0)];
    while (this.#take(',')) values.push(this.#level(0));
    if (this.#at < this.#tokens.length) fail(this.text, `"${this.#tokens[this.#at]}" is one too many`);
    return values;
  }

  #take(token: string): boolean {
    if (this.#tokens[this.#at] !== token) return false;
    this.#at++;
    return true;
  }

  #level(level: number): number {
    const operators: readonly string[] | undefined = LEVELS[level];
    if (!operators) return this.#unary();
    let value = this.#level(level + 1);
    for (
      let token = this.#tokens[this.#at];
      token && operators.includes(token);
      token = this.#tokens[this.#at]
    ) {
      this.#at++;
      value = OPERATORS[token]!(value, this.#level(level + 1));
    }
    return value;
  }

  #unary(): number {
    if (++this.#depth > DEEPEST) fail(this.text, `it nests deeper than ${DEEPEST}`);
    try {
      if (this.#take('-')) return -this.#unary();
      if (this.#take('!')) return this.#unary() === 0 ? 1 : 0;
      return this.#operand();
    } finally {
      this.#depth--;
    }
  }

  #operand(): number {
    const token = this.#tokens[this.#at++];
    if (token === undefined) fail(this.text, 'it ends too early');
    if (/^\d/.test(token)) return Number.parseFloat(token);
    if (token === '(') return this.#closed(this.#level(0));
    if (!/^[A-Za-z_]/.test(token)) fail(this.text, `"${token}" stands where a value should`);
    const call = Object.hasOwn(FUNCTIONS, token) ? FUNCTIONS[token] : undefined;
    if (call && this.#take('(')) {
      const values = [this.#level(0)];
      while (this.#take(',')) values.push(this.#level(0));
      return this.#closed(call(...values));
    }
    // WGSL's u32(x), i32(x), f32(x) change no value that a size can have.
    if (/^[uif]32$/.test(token) && this.#take('(')) return this.#closed(this.#level(0));
    if (!Object.hasOwn(this.names, token)) {
      fail(
        this.text,
        `there is no ${token}`,
        `There are: ${Object.keys(this.names).join(', ') || 'no names'}.`,
      );
    }
    return Number(this.names[token]);
  }

  #closed(value: number): number {
    if (!this.#take(')')) fail(this.text, 'a parenthesis does not close');
    return value;
  }
}
