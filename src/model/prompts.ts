/** What the text tower is asked: MLA-LP's learnable phrases, MVFA's fixed sentences, and lists that a user writes. */
import { OptionError } from '../runtime/errors';
import { tokenize } from './tokenizer';

/** Two lists of texts; class 0 is normal, class 1 abnormal. */
export interface PromptSet {
  readonly normal: readonly string[];
  readonly abnormal: readonly string[];
}

/** The phrases that follow the learned context vectors (MLA-LP): 10 normal, 11 abnormal. */
export const learnablePhrases: PromptSet = {
  normal: [
    'normal',
    'healthy',
    'negative',
    'unremarkable',
    'clear',
    'asymptomatic',
    'normal findings',
    'no findings',
    'in good health',
    'no evidence of disease',
  ],
  abnormal: [
    'abnormal',
    'positive',
    'symptomatic',
    'disease',
    'lesion',
    'pathological',
    'impaired',
    'evidence of disease',
    'abnormal finding',
    'pathological condition',
    'pathological abnormality',
  ],
};

export interface PromptTokens {
  /** i32 [number of normal texts, context]. */
  readonly normal: Int32Array<ArrayBuffer>;
  /** i32 [number of abnormal texts, context]. */
  readonly abnormal: Int32Array<ArrayBuffer>;
}

/**
 * Tokens of the learnable prompts: start of text, one placeholder "X" per context vector, the phrase, a full stop, end of
 * text. The embeddings at positions 1 to contextVectors are replaced by the learned ones.
 */
export function learnablePromptTokens(contextVectors = 8, context = 77): Promise<PromptTokens> {
  const placeholder = 'X '.repeat(contextVectors);
  const sentence = (phrase: string) => `${placeholder}${phrase}.`;
  return promptTokens(
    {
      normal: learnablePhrases.normal.map(sentence),
      abnormal: learnablePhrases.abnormal.map(sentence),
    },
    context,
  );
}

/** @throws OptionError when a text has more than 75 tokens. */
export async function promptTokens(prompts: PromptSet, context = 77): Promise<PromptTokens> {
  return {
    normal: await tokenize(prompts.normal, { context }),
    abnormal: await tokenize(prompts.abnormal, { context }),
  };
}

/** What the ensemble calls the object when nobody says. */
export const DEFAULT_OBJECT = 'medical image';

/** What MVFA calls the object in each of its data sets. */
export const objectNames = {
  Brain: 'Brain',
  Liver: 'Liver',
  Retina_RESC: 'retinal OCT',
  Retina_OCT2017: 'retinal OCT',
  Chest: 'Chest X-ray film',
  Histopathology: 'histopathological image',
} as const satisfies Record<string, string>;

const flaws = ['flaw', 'defect', 'damage'];
const states: PromptSet = {
  normal: ['{}', 'flawless {}', 'perfect {}', 'unblemished {}', ...flaws.map((flaw) => `{} without ${flaw}`)],
  abnormal: ['damaged {}', 'broken {}', ...flaws.map((flaw) => `{} with ${flaw}`)],
};

const views = [
  'bad',
  'low resolution',
  'cropped',
  'bright',
  'dark',
  'close-up',
  'black and white',
  'jpeg corrupted',
  'blurry',
  'good',
];
const templates: readonly string[] = [
  ...views.flatMap((view) => [`a ${view} photo of a {}.`, `a ${view} photo of the {}.`]),
  ...['cool', 'large', 'small'].flatMap((kind) => [`a photo of a ${kind} {}.`, `a photo of the ${kind} {}.`]),
  ...['a', 'the', 'my', 'one'].map((article) => `a photo of ${article} {}.`),
  ...['a', 'the'].map((article) => `there is ${article} {} in the scene.`),
  ...['this is a', 'this is the', 'this is one'].map((start) => `${start} {} in the scene.`),
];

/** Every state in every template. @param object takes the place of `{}` in a state, the whole that of `{}` in a template. */
export function composePrompts(states: PromptSet, templates: readonly string[], object: string): PromptSet {
  const sentences = (list: readonly string[]) =>
    list.flatMap((state) => {
      // Replaced by functions: `$&` in a name is text.
      const subject = state.replace('{}', () => object);
      return templates.map((template) => template.replace('{}', () => subject));
    });
  return { normal: sentences(states.normal), abnormal: sentences(states.abnormal) };
}

/**
 * MVFA's fixed ensemble for one kind of object: every state in every template, 245 normal and 175 abnormal sentences.
 * @param object for instance "Brain", or another of `objectNames`.
 */
export function fixedPrompts(object: string): PromptSet {
  return composePrompts(states, templates, object);
}

/**
 * Reads a user's prompt file. JSON: `{"normal": [...], "abnormal": [...]}` or `[{"text": ..., "abnormal": true}, ...]`
 * (other fields are ignored). Otherwise text: one sentence a line below a line `[normal]` or `[abnormal]`; empty lines and
 * lines that start with # are skipped.
 * @param name what messages call it. @throws OptionError naming the file and the line or field.
 */
export function parsePrompts(text: string, name: string): PromptSet {
  const source = text.replace(/^\ufeff/, '').trim();
  // A section header is no JSON, though it starts with a bracket too.
  const json = source.startsWith('{') || (source.startsWith('[') && !/^\[(ab)?normal\]/i.test(source));
  const prompts = json ? fromJson(source, name) : fromLines(source, name);
  for (const kind of ['normal', 'abnormal'] as const) {
    if (prompts[kind].length === 0) {
      throw new OptionError(`${name}: there is no ${kind} prompt.`, 'Give at least one of each kind.');
    }
  }
  return prompts;
}

const EXPECTED = 'Expected {"normal": ["..."], "abnormal": ["..."]}.';

function fromJson(source: string, name: string): PromptSet {
  let value: unknown;
  try {
    value = JSON.parse(source);
  } catch {
    throw new OptionError(`${name}: this is not valid JSON.`, EXPECTED);
  }
  if (Array.isArray(value)) {
    const lists = { normal: [] as string[], abnormal: [] as string[] };
    value.forEach((entry: unknown, i) => {
      const { text, abnormal } = (entry ?? {}) as { text?: unknown; abnormal?: unknown };
      if (!isSentence(text) || typeof abnormal !== 'boolean') {
        throw new OptionError(`${name}: entry ${i} lacks a "text" or a true or false "abnormal".`, EXPECTED);
      }
      lists[abnormal ? 'abnormal' : 'normal'].push(text.trim());
    });
    return lists;
  }
  const { normal, abnormal } = value as { normal?: unknown; abnormal?: unknown };
  return { normal: sentences(normal, 'normal', name), abnormal: sentences(abnormal, 'abnormal', name) };
}

function isSentence(value: unknown): value is string {
  return typeof value === 'string' && value.trim() !== '';
}

function sentences(value: unknown, field: string, name: string): string[] {
  if (!Array.isArray(value) || !value.every(isSentence)) {
    throw new OptionError(`${name}: "${field}" is not a list of sentences.`, EXPECTED);
  }
  return value.map((text) => text.trim());
}

function fromLines(source: string, name: string): PromptSet {
  const lists = { normal: [] as string[], abnormal: [] as string[] };
  let current: string[] | null = null;
  source.split(/\r?\n/).forEach((raw, i) => {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) return;
    const section = /^\[(normal|abnormal)\]$/i.exec(line)?.[1]?.toLowerCase();
    if (section) current = lists[section as keyof typeof lists];
    else if (current) current.push(line);
    else throw new OptionError(`${name}: line ${i + 1} stands before [normal] or [abnormal].`, EXPECTED);
  });
  return lists;
}
