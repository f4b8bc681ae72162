/** A CLIP's dimensions, read off the shapes of its weights (OpenAI's names). */
import { BadFileError, OptionError } from '../runtime/errors';
import type { TensorSource } from './tensor-source';

export interface ClipConfig {
  /** Patches a side that the position embeddings were trained with. */
  readonly pretrainGrid: number;
  /** Side of a patch, px. */
  readonly patch: number;
  readonly width: number;
  readonly layers: number;
  readonly heads: number;
  /** Hidden width of the image tower's MLPs. */
  readonly mlp: number;
  /** Width of the joint embedding. */
  readonly embed: number;
  readonly textWidth: number;
  readonly textLayers: number;
  readonly textHeads: number;
  readonly textMlp: number;
  /** Positions of the text tower. */
  readonly context: number;
  readonly vocab: number;
}

/** Largest side the model may run at, px: 85,000 tokens at patch 14. */
const MAX_IMAGE_SIZE = 4096;

export interface HeadCounts {
  readonly heads?: number;
  readonly textHeads?: number;
}

/** Image towers of open_clip whose heads are not 64 wide (ViT-H, ViT-g, ViT-bigG; its model configurations). */
const HEAD_WIDTHS: ReadonlyMap<number, number> = new Map([
  [1280, 80],
  [1408, 88],
  [1664, 104],
]);

/** CLIP's rule: heads of 64, with the exceptions above. Where it does not divide, the caller must say. */
function headCount(label: string, what: string, width: number, headWidth: number, given?: number): number {
  const heads = given ?? width / headWidth;
  if (!Number.isInteger(heads) || heads < 1 || width % heads !== 0) {
    throw new OptionError(
      `${label}: ${given === undefined ? `a ${what} of width ${width} has no whole number of ${headWidth}-wide heads` : `${given} heads do not divide the ${what}'s width ${width}`}.`,
      'Say how many heads it has (--heads, --text-heads).',
    );
  }
  return heads;
}

function countBlocks(source: TensorSource, prefix: string): number {
  let count = 0;
  while (source.tensors.has(`${prefix}resblocks.${count}.ln_1.weight`)) count++;
  return count;
}

/**
 * @param source weights under OpenAI's names (`asClipWeights`).
 * @param heads where the widths do not tell: ViT-H has 16 heads of 80 in a width of 1280.
 * @throws BadFileError when a tensor that shows a dimension is missing or has a wrong rank.
 */
export function readClipConfig(source: TensorSource, heads: HeadCounts = {}): ClipConfig {
  const shape = (name: string, rank: number): readonly number[] => {
    const info = source.tensors.get(name);
    if (!info || info.shape.length !== rank) {
      const fact = info ? `has the shape [${info.shape}]` : 'is missing';
      throw new BadFileError(
        source.label,
        `the tensor ${name} ${fact}`,
        'Use a CLIP with a ViT image tower.',
      );
    }
    return info.shape;
  };
  const [width, , patch] = shape('visual.conv1.weight', 4) as [number, number, number, number];
  const [positions] = shape('visual.positional_embedding', 2) as [number, number];
  const [context, textWidth] = shape('positional_embedding', 2) as [number, number];
  const pretrainGrid = Math.sqrt(positions - 1);
  if (!Number.isInteger(pretrainGrid) || pretrainGrid < 1) {
    throw new BadFileError(
      source.label,
      `${positions} position embeddings are not 1 + a square`,
      'Use a CLIP with a ViT image tower.',
    );
  }
  const layers = countBlocks(source, 'visual.transformer.');
  const textLayers = countBlocks(source, 'transformer.');
  if (layers === 0 || textLayers === 0) {
    throw new BadFileError(
      source.label,
      'it has no transformer blocks',
      'Use a CLIP with a ViT image tower.',
    );
  }
  return {
    pretrainGrid,
    patch,
    width,
    layers,
    heads: headCount(source.label, 'image tower', width, HEAD_WIDTHS.get(width) ?? 64, heads.heads),
    mlp: shape('visual.transformer.resblocks.0.mlp.c_fc.weight', 2)[0]!,
    embed: shape('visual.proj', 2)[1]!,
    textWidth,
    textLayers,
    textHeads: headCount(source.label, 'text tower', textWidth, 64, heads.textHeads),
    textMlp: shape('transformer.resblocks.0.mlp.c_fc.weight', 2)[0]!,
    context,
    vocab: shape('token_embedding.weight', 2)[0]!,
  };
}

/**
 * Head counts from a sidecar: Hugging Face's config.json or open_clip's open_clip_config.json, parsed.
 * Anything else gives {}.
 */
export function headsFromJson(json: unknown): HeadCounts {
  const at = (value: unknown, key: string): unknown =>
    typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[key] : undefined;
  const positive = (value: unknown) =>
    typeof value === 'number' && Number.isInteger(value) && value > 0 ? value : undefined;
  const model = at(json, 'model_cfg') ?? json;
  const vision = at(model, 'vision_config') ?? at(model, 'vision_cfg');
  const text = at(model, 'text_config') ?? at(model, 'text_cfg');
  const width = positive(at(vision, 'width'));
  const headWidth = positive(at(vision, 'head_width'));
  const heads =
    positive(at(vision, 'num_attention_heads')) ?? (width && headWidth ? width / headWidth : undefined);
  const textHeads = positive(at(text, 'num_attention_heads')) ?? positive(at(text, 'heads'));
  return { ...(heads && { heads }), ...(textHeads && { textHeads }) };
}

/**
 * Patches a side at an image size, px. @throws OptionError when the image holds no patch, or more than a model can attend to.
 */
export function gridFor(config: Pick<ClipConfig, 'patch'>, imageSize: number): number {
  if (imageSize > MAX_IMAGE_SIZE) {
    throw new OptionError(
      `An image size of ${imageSize} px is too large.`,
      `Use ${MAX_IMAGE_SIZE} px or less; the paper uses 240.`,
    );
  }
  if (!Number.isInteger(imageSize) || imageSize < config.patch) {
    throw new OptionError(
      `An image size of ${imageSize} px holds no patch of ${config.patch} px.`,
      `Use --image-size ${config.patch} or more; the paper uses 240.`,
    );
  }
  return Math.floor(imageSize / config.patch);
}
/** Tokens of an image, class token included. @throws OptionError as `gridFor`. */
export function tokensOf({
  config,
  imageSize,
}: {
  readonly config: Pick<ClipConfig, 'patch'>;
  readonly imageSize: number;
}): number {
  return 1 + gridFor(config, imageSize) ** 2;
}
