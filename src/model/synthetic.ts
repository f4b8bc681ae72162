/**
 * Deterministic stand-in weights of any size, made from names and indices alone, for benchmarks and full-size tests. The
 * rule is the project's reference (`synthetic.py`), kept bit for bit:
 *   value(name, i) = offset + scale * u,  u = (h >> 8) / 2^23 - 1,  h = mix32(fnv1a32(name) + i * 0x9E3779B9 mod 2^32)
 */
import { BadFileError, OptionError } from '../runtime/errors';
import { decodeF16, encodeF16 } from '../runtime/float16';
import { elementCount, type TensorInfo, type TensorSource } from './tensor-source';

interface Dimensions {
  readonly prefix: string;
  readonly pretrainGrid: number;
  readonly patch: number;
  readonly width: number;
  readonly layers: number;
  readonly embed: number;
  readonly textWidth: number;
  readonly textLayers: number;
}

const VOCAB = 49408;
const CONTEXT = 77;

const VIT_L14: Dimensions = {
  prefix: '',
  pretrainGrid: 24,
  patch: 14,
  width: 1024,
  layers: 24,
  embed: 768,
  textWidth: 768,
  textLayers: 12,
};
const VIT_B16: Dimensions = {
  ...VIT_L14,
  pretrainGrid: 14,
  patch: 16,
  width: 768,
  layers: 12,
  embed: 512,
  textWidth: 512,
};

/** The reference's own small cases carry their name as a prefix; published sizes have none. */
const MODELS: Readonly<Record<string, Dimensions>> = {
  vitl14: VIT_L14,
  'vitl14-224': { ...VIT_L14, pretrainGrid: 16 },
  vitb16: VIT_B16,
  vitb32: { ...VIT_B16, pretrainGrid: 7, patch: 32 },
  vith14: {
    ...VIT_L14,
    pretrainGrid: 16,
    width: 1280,
    layers: 32,
    embed: 1024,
    textWidth: 1024,
    textLayers: 24,
  },
  tiny: {
    ...VIT_L14,
    prefix: 'tiny.',
    pretrainGrid: 8,
    width: 128,
    layers: 4,
    embed: 96,
    textWidth: 64,
    textLayers: 2,
  },
  hidden: {
    ...VIT_L14,
    prefix: 'hidden.',
    pretrainGrid: 9,
    width: 192,
    layers: 8,
    embed: 80,
    textWidth: 128,
    textLayers: 3,
  },
};

export const SYNTHETIC_MODELS: readonly string[] = Object.keys(MODELS);

function dimensions(model: string): Dimensions {
  const found = Object.hasOwn(MODELS, model) ? MODELS[model] : undefined;
  if (!found)
    throw new OptionError(
      `There is no synthetic model ${model}.`,
      `There are: ${SYNTHETIC_MODELS.join(', ')}.`,
    );
  return found;
}

/** FNV-1a over the UTF-8 bytes. */
function fnv1a32(text: string): number {
  let h = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) h = Math.imul(h ^ byte, 0x01000193);
  return h >>> 0;
}

/** (offset, scale) of a tensor, by its name. */
function spec(name: string, shape: readonly number[]): [offset: number, scale: number] {
  if (/ln_1|ln_2|ln_pre|ln_post|ln_final/.test(name)) return name.endsWith('weight') ? [1, 0.2] : [0, 0.1];
  if (name.endsWith('bias')) return [0, 0.05];
  if (/(positional_embedding|class_embedding|token_embedding\.weight)$/.test(name) || name.includes('.ctx.'))
    return [0, 0.05];
  if (name === 'visual.proj' || name === 'text_projection') return [0, Math.sqrt(3 / shape[0]!)];
  return [0, Math.sqrt(3 / elementCount(shape.slice(1)))];
}

/** Elements [start, end) of a tensor, f32. */
function generate(
  name: string,
  shape: readonly number[],
  start: number,
  end: number,
): Float32Array<ArrayBuffer> {
  const [offset, scale] = spec(name, shape);
  const seed = fnv1a32(name);
  const out = new Float32Array(end - start);
  for (let i = start; i < end; i++) {
    let x = (seed + Math.imul(i, 0x9e3779b9)) | 0;
    x = Math.imul(x ^ (x >>> 16), 0x7feb352d);
    x = Math.imul(x ^ (x >>> 15), 0x846ca68b);
    x ^= x >>> 16;
    out[i - start] = offset + scale * ((x >>> 8) / 8388608 - 1);
  }
  return out;
}

function syntheticSource(
  label: string,
  shapes: ReadonlyMap<string, readonly number[]>,
  fullName: (name: string) => string,
): TensorSource {
  const tensors = new Map<string, TensorInfo>();
  for (const [name, shape] of shapes) {
    tensors.set(name, { name, dtype: name === 'token_embedding.weight' ? 'F16' : 'F32', shape });
  }
  return {
    label,
    tensors,
    metadata: new Map(),
    async read(name, start = 0, end?: number) {
      const info = tensors.get(name);
      if (!info) throw new BadFileError(label, `there is no tensor ${name}`);
      const count = elementCount(info.shape);
      const stop = end ?? count;
      const whole = Number.isInteger(start) && Number.isInteger(stop);
      if (!(whole && start >= 0 && start <= stop && stop <= count)) {
        throw new BadFileError(label, `${name} has ${count} values, not ${start} to ${stop}`);
      }
      const values = generate(fullName(name), info.shape, start, stop);
      return info.dtype === 'F16' ? decodeF16(encodeF16(values), values) : values;
    },
    async close() {},
  };
}

/** A CLIP of stand-in weights. The token embedding is rounded to f16, as the goldens' is. @throws OptionError */
export function syntheticClip(model: string): TensorSource {
  const d = dimensions(model);
  const shapes = new Map<string, readonly number[]>([
    ['positional_embedding', [CONTEXT, d.textWidth]],
    ['text_projection', [d.textWidth, d.embed]],
    ['token_embedding.weight', [VOCAB, d.textWidth]],
    ['ln_final.weight', [d.textWidth]],
    ['ln_final.bias', [d.textWidth]],
    ['visual.class_embedding', [d.width]],
    ['visual.positional_embedding', [d.pretrainGrid ** 2 + 1, d.width]],
    ['visual.proj', [d.width, d.embed]],
    ['visual.conv1.weight', [d.width, 3, d.patch, d.patch]],
  ]);
  for (const norm of ['visual.ln_pre', 'visual.ln_post']) {
    shapes.set(`${norm}.weight`, [d.width]).set(`${norm}.bias`, [d.width]);
  }
  const towers = [
    ['visual.', d.layers, d.width],
    ['', d.textLayers, d.textWidth],
  ] as const;
  for (const [tower, layers, width] of towers) {
    for (let i = 0; i < layers; i++) {
      const p = `${tower}transformer.resblocks.${i}.`;
      for (const norm of ['ln_1', 'ln_2'])
        shapes.set(`${p}${norm}.weight`, [width]).set(`${p}${norm}.bias`, [width]);
      shapes.set(`${p}attn.in_proj_weight`, [3 * width, width]).set(`${p}attn.in_proj_bias`, [3 * width]);
      shapes.set(`${p}attn.out_proj.weight`, [width, width]).set(`${p}attn.out_proj.bias`, [width]);
      shapes.set(`${p}mlp.c_fc.weight`, [4 * width, width]).set(`${p}mlp.c_fc.bias`, [4 * width]);
      shapes.set(`${p}mlp.c_proj.weight`, [width, 4 * width]).set(`${p}mlp.c_proj.bias`, [width]);
    }
  }
  return syntheticSource(`synthetic:${model}`, shapes, (name) => d.prefix + name);
}

/** Stand-in adapters at four stages and prompts (10 normal, 11 abnormal, 8 context vectors each). @throws OptionError */
export function syntheticCheckpoint(model: string): TensorSource {
  const d = dimensions(model);
  const shapes = new Map<string, readonly number[]>();
  for (const head of ['seg', 'det']) {
    for (let i = 0; i < 4; i++) {
      shapes.set(`${head}_adapters.${i}.fc1.0.weight`, [d.embed, d.width]);
      shapes.set(`${head}_adapters.${i}.fc2.0.weight`, [d.width, d.embed]);
    }
  }
  shapes.set('prompt_learner.ctx.normal_end', [10, 8, d.textWidth]);
  shapes.set('prompt_learner.ctx.abnormal_end', [11, 8, d.textWidth]);
  return syntheticSource(`synthetic:${model}`, shapes, (name) => `${model}.${name}`);
}
