/** Recognises a CLIP whatever file it came in: adapters mean nothing with another one. */
import { encodeF16 } from '../runtime/float16';
import { elementCount, type TensorSource } from './tensor-source';

/** Values looked at in each of three places of a tensor. */
const SAMPLE = 8;

/**
 * SHA-256 over names, shapes and sampled values (rounded to f16, as some files store them), hexadecimal.
 * @param source weights under OpenAI's names (`asClipWeights`).
 */
export async function weightsIdentity(source: TensorSource): Promise<string> {
  const names = [...source.tensors.keys()].filter((name) => name !== 'logit_scale').sort();
  const part = async (name: string) => {
    const { shape } = source.tensors.get(name)!;
    const count = elementCount(shape);
    const starts = [0, Math.floor(count / 2), Math.max(0, count - SAMPLE)];
    const read = (start: number) => source.read(name, start, Math.min(start + SAMPLE, count));
    const values = (await Promise.all(starts.map(read))).flatMap((some) => [...some]);
    return `${name} ${shape.join('x')} ${encodeF16(Float32Array.from(values)).join(' ')}`;
  };
  // A thousand small reads: one after another they take longer than the bytes.
  return sha256((await Promise.all(names.map(part))).join('\n'));
}

/** SHA-256 of a text, hexadecimal. */
export async function sha256(text: string): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text));
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}
