/** Text to token ids as CLIP does it (OpenAI, simple_tokenizer.py): cleaned, lower-cased, byte-level BPE, padded. */
import { Tokenizer } from '@huggingface/tokenizers';
import { decodeHTML } from 'entities/decode';
import { OptionError } from '../../runtime/errors';
import { END_OF_TEXT, END_OF_WORD, loadVocabulary, START_OF_TEXT } from './vocabulary';

export interface TokenizeOptions {
  /** Tokens a row; CLIP has 77. */
  readonly context?: number;
  /** Cut longer texts, keeping the end-of-text token last; without it a longer text is an error. */
  readonly truncate?: boolean;
}

/**
 * Tokenizes texts for CLIP's text tower.
 * @returns i32 [texts.length, context], row-major: start of text (49406), the tokens, end of text (49407), zeros.
 * @throws OptionError when a text does not fit and `truncate` is off, or `context` is below 2.
 */
export async function tokenize(
  texts: readonly string[],
  { context = 77, truncate = false }: TokenizeOptions = {},
): Promise<Int32Array<ArrayBuffer>> {
  if (!Number.isInteger(context) || context < 2) {
    throw new OptionError(`A context of ${context} tokens cannot hold a start and an end.`);
  }
  const tokenizer = await sharedTokenizer();
  const out = new Int32Array(texts.length * context);
  texts.forEach((text, row) => {
    const { ids } = tokenizer.encode(clean(text), { add_special_tokens: false });
    if (ids.length > context - 2 && !truncate) {
      throw new OptionError(
        `"${text.slice(0, 40)}${text.length > 40 ? '...' : ''}" has ${ids.length} tokens, ${context - 2} fit.`,
        'Shorten it, or pass truncate.',
      );
    }
    out.set([START_OF_TEXT, ...ids.slice(0, context - 2), END_OF_TEXT], row * context);
  });
  return out;
}

let tokenizer: Promise<Tokenizer> | undefined;

function sharedTokenizer(): Promise<Tokenizer> {
  tokenizer ??= buildTokenizer().catch((error: unknown) => {
    tokenizer = undefined;
    throw error;
  });
  return tokenizer;
}

async function buildTokenizer(): Promise<Tokenizer> {
  const { merges, ids } = await loadVocabulary();
  const special = (content: string, id: number) => ({
    content,
    id,
    special: true,
    normalized: false,
    single_word: false,
    lstrip: false,
    rstrip: false,
  });
  return new Tokenizer(
    {
      added_tokens: [special('<|startoftext|>', START_OF_TEXT), special('<|endoftext|>', END_OF_TEXT)],
      normalizer: { type: 'Sequence', normalizers: [{ type: 'NFC' }, { type: 'Lowercase' }] },
      pre_tokenizer: {
        type: 'Sequence',
        pretokenizers: [
          // CLIP's split: English contractions, runs of letters, single digits, runs of anything else but space.
          {
            type: 'Split',
            pattern: { Regex: "'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+" },
            behavior: 'Removed',
            invert: true,
          },
          { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false },
        ],
      },
      model: {
        type: 'BPE',
        vocab: ids,
        merges,
        end_of_word_suffix: END_OF_WORD,
        unk_token: '<|endoftext|>',
      },
      post_processor: null,
      decoder: null,
    },
    {},
  );
}

/**
 * CLIP runs ftfy, unescapes HTML twice and collapses white space. Of ftfy, what people type is done here: straight quotes
 * for curly ones, plain letters for ligatures and full-width forms. Its repair of wrongly decoded text is not.
 */
function clean(text: string): string {
  const straight = text
    .replace(/[\u2018-\u201b]/g, "'")
    .replace(/[\u201c-\u201f]/g, '"')
    .replace(/[\ufb00-\ufb06\uff01-\uffef\u3000]/g, (c) => c.normalize('NFKC'));
  return decodeHTML(decodeHTML(straight)).replace(/\s+/g, ' ').trim();
}
