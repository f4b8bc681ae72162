/** CLIP's byte-pair vocabulary, rebuilt from its merges: 49,408 entries from 208 KB that travel inside the bundle. */

export const START_OF_TEXT = 49_406;
export const END_OF_TEXT = 49_407;
/** A token that ends a word carries this suffix. */
export const END_OF_WORD = '</w>';

export interface Vocabulary {
  /** Pairs in order of priority. */
  readonly merges: readonly (readonly [string, string])[];
  /** Token to id: 256 bytes, 256 bytes that end a word, 48,894 merges, start and end of text. */
  readonly ids: Readonly<Record<string, number>>;
}

/** Unpacks the merges (MIT, OpenAI; see weights/README.md). They load when first needed, without network or files. */
export async function loadVocabulary(): Promise<Vocabulary> {
  const { default: packed } = await import('../../../weights/clip-bpe-merges.txt.gz');
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream('gzip'));
  const text = await new Response(stream).text();
  const merges = text
    .trimEnd()
    .split('\n')
    .map((line) => line.split(' ') as unknown as readonly [string, string]);
  const bytes = byteCharacters();
  const tokens = [
    ...bytes,
    ...bytes.map((c) => c + END_OF_WORD),
    ...merges.map((pair) => pair.join('')),
    '<|startoftext|>',
    '<|endoftext|>',
  ];
  return { merges, ids: Object.fromEntries(tokens.map((token, id) => [token, id])) };
}

/**
 * GPT-2's stand-ins for the 256 byte values, in the order of CLIP's ids: the printable Latin-1 characters as they are,
 * every other byte as the next code point from U+0100.
 */
function byteCharacters(): string[] {
  const printable: number[] = [];
  for (const [from, to] of [
    [0x21, 0x7e],
    [0xa1, 0xac],
    [0xae, 0xff],
  ] as const) {
    for (let code = from; code <= to; code++) printable.push(code);
  }
  const others = 256 - printable.length;
  return [...printable, ...Array.from({ length: others }, (_, i) => 0x100 + i)].map((code) =>
    String.fromCharCode(code),
  );
}
