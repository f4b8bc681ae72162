/** CLIP weights of any origin under OpenAI's names, checked for completeness and shape. */
import type { TensorInfo, TensorSource } from '../model/tensor-source';
import { BadFileError } from '../runtime/errors';
import { sameShape } from '../runtime/tensor-type';
import { unwrappedName } from './checkpoint';
import { shownName } from './safetensors-header';
import { type Derived, renamed, stacked, tensorView, transposed } from './tensor-view';

/** Where a stored tensor goes: `part` 0, 1, 2 are the rows of q, k, v. */
interface Target {
  readonly name: string;
  readonly part?: number;
  readonly transpose?: boolean;
}

/** Hugging Face's names outside the blocks. */
const HF_NAMES: ReadonlyMap<string, Target> = new Map([
  ['text_model.embeddings.token_embedding.weight', { name: 'token_embedding.weight' }],
  ['text_model.embeddings.position_embedding.weight', { name: 'positional_embedding' }],
  ['text_model.final_layer_norm.weight', { name: 'ln_final.weight' }],
  ['text_model.final_layer_norm.bias', { name: 'ln_final.bias' }],
  ['text_projection.weight', { name: 'text_projection', transpose: true }],
  ['vision_model.embeddings.class_embedding', { name: 'visual.class_embedding' }],
  ['vision_model.embeddings.patch_embedding.weight', { name: 'visual.conv1.weight' }],
  ['vision_model.embeddings.position_embedding.weight', { name: 'visual.positional_embedding' }],
  ['vision_model.pre_layrnorm.weight', { name: 'visual.ln_pre.weight' }],
  ['vision_model.pre_layrnorm.bias', { name: 'visual.ln_pre.bias' }],
  ['vision_model.post_layernorm.weight', { name: 'visual.ln_post.weight' }],
  ['vision_model.post_layernorm.bias', { name: 'visual.ln_post.bias' }],
  ['visual_projection.weight', { name: 'visual.proj', transpose: true }],
]);
const HF_BLOCK = /^(text|vision)_model\.encoder\.layers\.(\d+)\.([a-z0-9_.]+)\.(weight|bias)$/;
const HF_PARTS: ReadonlyMap<string, string> = new Map([
  ['layer_norm1', 'ln_1'],
  ['layer_norm2', 'ln_2'],
  ['mlp.fc1', 'mlp.c_fc'],
  ['mlp.fc2', 'mlp.c_proj'],
  ['self_attn.out_proj', 'attn.out_proj'],
]);
const HF_QKV = ['self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj'];

/** open_clip's CustomTextCLIP puts the text tower's tensors under `text.`. */
const OPEN_CLIP_TEXT =
  /^text\.(?=transformer\.|token_embedding\.|positional_embedding$|ln_final\.|text_projection$)/;

type Size = number | string;

/**
 * Names and shapes outside the blocks; letters are bound to the first size met. First those that show a size most plainly.
 */
const OUTSIDE: readonly (readonly [name: string, shape: readonly Size[]])[] = [
  ['visual.conv1.weight', ['width', 3, 'patch', 'patch']],
  ['visual.proj', ['width', 'embed']],
  ['token_embedding.weight', ['vocab', 'text width']],
  ['positional_embedding', ['context', 'text width']],
  ['text_projection', ['text width', 'embed']],
  ['ln_final.weight', ['text width']],
  ['ln_final.bias', ['text width']],
  ['visual.class_embedding', ['width']],
  ['visual.positional_embedding', ['positions', 'width']],
  ['visual.ln_pre.weight', ['width']],
  ['visual.ln_pre.bias', ['width']],
  ['visual.ln_post.weight', ['width']],
  ['visual.ln_post.bias', ['width']],
];

const BLOCK = /^(visual\.)?transformer\.resblocks\.(\d+)\./;
const MAX_BLOCKS = 1000;

/** Names and shapes of one block. */
function blockShapes(tower: string, index: number): [string, Size[]][] {
  const p = `${tower}transformer.resblocks.${index}.`;
  const [d, h] = tower ? ['width', 'mlp'] : ['text width', 'text mlp'];
  return [
    [`${p}ln_1.weight`, [d]],
    [`${p}ln_1.bias`, [d]],
    [`${p}attn.in_proj_weight`, [`3 ${d}`, d]],
    [`${p}attn.in_proj_bias`, [`3 ${d}`]],
    [`${p}attn.out_proj.weight`, [d, d]],
    [`${p}attn.out_proj.bias`, [d]],
    [`${p}ln_2.weight`, [d]],
    [`${p}ln_2.bias`, [d]],
    [`${p}mlp.c_fc.weight`, [h, d]],
    [`${p}mlp.c_fc.bias`, [h]],
    [`${p}mlp.c_proj.weight`, [d, h]],
    [`${p}mlp.c_proj.bias`, [d]],
  ];
}

/** Where a stored name goes; undefined for what a CLIP does not need. */
function targetOf(stored: string): Target | undefined {
  const name = unwrappedName(stored);
  const block = HF_BLOCK.exec(name);
  if (block) {
    const [, tower, layer, part, kind] = block as unknown as [string, string, string, string, string];
    const prefix = `${tower === 'vision' ? 'visual.' : ''}transformer.resblocks.${layer}.`;
    const row = HF_QKV.indexOf(part);
    if (row >= 0) return { name: `${prefix}attn.in_proj_${kind}`, part: row };
    const ours = HF_PARTS.get(part);
    return ours === undefined ? undefined : { name: `${prefix}${ours}.${kind}` };
  }
  const outside = HF_NAMES.get(name);
  if (outside) return outside;
  const ours = name.replace(OPEN_CLIP_TEXT, '');
  return ours === 'logit_scale' || isCanonical(ours) ? { name: ours } : undefined;
}

const OUTSIDE_NAMES = new Set(OUTSIDE.map(([name]) => name));
const BLOCK_NAMES = new Set(blockShapes('', 0).map(([name]) => name.replace(BLOCK, '')));

function isCanonical(name: string): boolean {
  return OUTSIDE_NAMES.has(name) || (BLOCK.test(name) && BLOCK_NAMES.has(name.replace(BLOCK, '')));
}

/** Canonical names and the stored tensors (one, or q, k, v) that make them. */
function assign(source: TensorSource): Map<string, { target: Target; parts: TensorInfo[] }> {
  const assigned = new Map<string, { target: Target; parts: TensorInfo[] }>();
  for (const info of source.tensors.values()) {
    const target = targetOf(info.name);
    if (!target) continue;
    const slot = assigned.get(target.name) ?? { target, parts: [] };
    const index = target.part ?? 0;
    const other = slot.parts[index];
    if (other || (slot.target.part === undefined) !== (target.part === undefined)) {
      const both = `${shownName((other ?? slot.parts.find(Boolean)!).name)} and ${shownName(info.name)}`;
      const fact = `${both} both stand for ${target.name}`;
      throw new BadFileError(source.label, fact, 'Keep one of them.');
    }
    slot.parts[index] = info;
    assigned.set(target.name, slot);
  }
  return assigned;
}

/** The canonical tensor, or undefined where parts are missing or do not fit together: it then counts as missing. */
function derive(
  source: TensorSource,
  name: string,
  target: Target,
  parts: readonly (TensorInfo | undefined)[],
): Derived | undefined {
  const first = parts[0];
  if (!first) return undefined;
  if (target.transpose)
    return first.shape.length === 2 ? transposed(source, first, name) : renamed(source, first, name);
  if (target.part === undefined) return renamed(source, first, name);
  const rows = HF_QKV.map((_, i) => parts[i]);
  const whole = rows.every((part) => part && part.shape.length > 0 && sameShape(part.shape, first.shape));
  return whole ? stacked(source, rows as TensorInfo[], name) : undefined;
}

function countBlocks(label: string, names: Iterable<string>, tower: string): number {
  let count = 1;
  for (const name of names) {
    const match = BLOCK.exec(name);
    if (match && (match[1] ?? '') === tower) count = Math.max(count, Number(match[2]) + 1);
  }
  if (count > MAX_BLOCKS)
    throw new BadFileError(label, `it names a transformer block ${count - 1}`, 'Use a CLIP with a ViT.');
  return count;
}

/** Sizes by letter; every tensor either binds a size or must agree with it. */
class Sizes {
  readonly #bound = new Map<string, number>();

  /** What is wrong with a shape, or undefined. */
  complaint(shape: readonly number[], want: readonly Size[]): string | undefined {
    const fits = shape.length === want.length && want.every((size, i) => this.#agrees(shape[i]!, size));
    return fits ? undefined : `[${shape}] instead of [${want.map((size) => this.#shown(size)).join(', ')}]`;
  }

  #agrees(found: number, size: Size): boolean {
    if (typeof size === 'number') return found === size;
    if (size.startsWith('3 ')) return found === 3 * (this.#bound.get(size.slice(2)) ?? Number.NaN);
    if (!this.#bound.has(size) && found > 0) this.#bound.set(size, found);
    return found === this.#bound.get(size);
  }

  #shown(size: Size): Size {
    if (typeof size === 'number') return size;
    const bound = this.#bound.get(size.replace(/^3 /, ''));
    if (bound === undefined) return size;
    return size.startsWith('3 ') ? 3 * bound : bound;
  }
}

function checkComplete(source: TensorSource, derived: ReadonlyMap<string, Derived>): void {
  const wanted: (readonly [string, readonly Size[]])[] = [...OUTSIDE];
  for (const tower of ['visual.', '']) {
    const blocks = countBlocks(source.label, derived.keys(), tower);
    for (let i = 0; i < blocks; i++) wanted.push(...blockShapes(tower, i));
  }
  const sizes = new Sizes();
  const missing: string[] = [];
  const misshapen: string[] = [];
  for (const [name, want] of wanted) {
    const found = derived.get(name);
    if (!found) missing.push(name);
    else {
      const complaint = sizes.complaint(found.info.shape, want);
      if (complaint) misshapen.push(`${name} ${complaint}`);
    }
  }
  if (missing.length + misshapen.length === 0) return;
  const facts = [summary('missing', missing), summary('wrongly shaped', misshapen)].filter(Boolean);
  throw new BadFileError(source.label, `it is no complete CLIP: ${facts.join('; ')}`, remedyFor(source));
}

function summary(what: string, names: readonly string[]): string {
  if (names.length === 0) return '';
  const rest = names.length > 5 ? ', ...' : '';
  return `${names.length} tensor${names.length > 1 ? 's' : ''} ${what} (${names.slice(0, 5).join(', ')}${rest})`;
}

function remedyFor(source: TensorSource): string {
  const names = [...source.tensors.keys()].map(unwrappedName);
  if (names.some((name) => name.startsWith('visual.layer1.')))
    return 'Its image tower is a ResNet; use a CLIP with a ViT, for instance ViT-L/14-336.';
  if (names.some((name) => /^(seg|det)_adapters\./.test(name)))
    return 'It holds adapters; give it as --checkpoint, and CLIP weights as --weights.';
  return 'Use a complete CLIP with a ViT image tower (OpenAI, open_clip or Hugging Face).';
}

/**
 * A CLIP's weights under OpenAI's names and shapes, whatever their origin: OpenAI, open_clip or Hugging Face. Renaming,
 * the stacking of q, k, v and transposition happen when a tensor is read. Tensors that a CLIP does not need are left out.
 * @throws BadFileError naming up to five missing and wrongly shaped tensors, and how many there are.
 */
export function asClipWeights(source: TensorSource): TensorSource {
  const derived = new Map<string, Derived>();
  for (const [name, { target, parts }] of assign(source)) {
    const made = derive(source, name, target, parts);
    if (made) derived.set(name, made);
  }
  checkComplete(source, derived);
  return tensorView(source, derived);
}

/** Names of stored tensors that a CLIP does not need (`position_ids` and the like), in the file's order. */
export function extraTensors(source: TensorSource): string[] {
  return [...source.tensors.keys()].filter((name) => !targetOf(name));
}
