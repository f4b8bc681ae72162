/**
 * CLIP's image tower as plain float64 loops, straight from its definition (Dosovitskiy et al. 2021; Radford et al. 2021), for
 * images of the size that the weights are made for. QuickGELU.
 */
import type { TensorSource } from '../../src/model/tensor-source';

export type Vector = Float64Array;

export class ReferenceTower {
  private constructor(
    private readonly weights: ReadonlyMap<string, Vector>,
    readonly width: number,
    readonly embed: number,
    readonly patch: number,
    readonly grid: number,
    readonly layers: number,
    readonly heads: number,
  ) {}

  static async read(source: TensorSource): Promise<ReferenceTower> {
    const weights = new Map<string, Vector>();
    for (const name of source.tensors.keys())
      if (name.startsWith('visual.')) weights.set(name, Float64Array.from(await source.read(name)));
    const shape = (name: string) => source.tensors.get(name)!.shape;
    const [width, , patch] = shape('visual.conv1.weight') as [number, number, number];
    let layers = 0;
    while (weights.has(`visual.transformer.resblocks.${layers}.ln_1.weight`)) layers++;
    const grid = Math.sqrt(shape('visual.positional_embedding')[0]! - 1);
    return new ReferenceTower(weights, width, shape('visual.proj')[1]!, patch, grid, layers, width / 64);
  }

  /** Side of the images, px. */
  get size(): number {
    return this.grid * this.patch;
  }

  /** Class token and patches, position embeddings added; not yet normalised. @param image [3, S, S]. */
  tokens(image: ArrayLike<number>): Vector[] {
    const { width, patch, grid, size } = this;
    const kernel = this.#get('visual.conv1.weight');
    const position = this.#get('visual.positional_embedding');
    const tokens: Vector[] = [Float64Array.from(this.#get('visual.class_embedding'))];
    for (let gy = 0; gy < grid; gy++)
      for (let gx = 0; gx < grid; gx++) {
        const token = new Float64Array(width);
        for (let d = 0; d < width; d++)
          for (let c = 0; c < 3; c++)
            for (let y = 0; y < patch; y++)
              for (let x = 0; x < patch; x++)
                token[d]! +=
                  kernel[((d * 3 + c) * patch + y) * patch + x]! *
                  image[(c * size + gy * patch + y) * size + gx * patch + x]!;
        tokens.push(token);
      }
    return tokens.map((token, t) => token.map((v, d) => v + position[t * width + d]!));
  }

  /** ln_pre and the first `count` blocks over a sequence of tokens. */
  blocks(tokens: readonly Vector[], count = this.layers): Vector[] {
    let x = tokens.map((token) => this.#norm(token, 'visual.ln_pre'));
    for (let i = 0; i < count; i++) x = this.#block(x, `visual.transformer.resblocks.${i}.`);
    return x;
  }

  /** ln_post and the projection of a token. */
  embedding(token: Vector): Vector {
    const proj = this.#get('visual.proj');
    const x = this.#norm(token, 'visual.ln_post');
    return Float64Array.from({ length: this.embed }, (_, e) =>
      x.reduce((sum, v, d) => sum + v * proj[d * this.embed + e]!, 0),
    );
  }

  #get(name: string): Vector {
    return this.weights.get(name)!;
  }

  #norm(x: Vector, name: string): Vector {
    const [scale, shift] = [this.#get(`${name}.weight`), this.#get(`${name}.bias`)];
    const mean = x.reduce((a, b) => a + b, 0) / x.length;
    const variance = x.reduce((sum, v) => sum + (v - mean) ** 2, 0) / x.length;
    return x.map((v, d) => ((v - mean) / Math.sqrt(variance + 1e-5)) * scale[d]! + shift[d]!);
  }

  #linear(x: Vector, name: string, bias: string): Vector {
    return linear(x, this.#get(name), this.#get(bias));
  }

  #block(x: readonly Vector[], p: string): Vector[] {
    const { width, heads } = this;
    const size = width / heads;
    const qkv = x.map((token) =>
      this.#linear(this.#norm(token, `${p}ln_1`), `${p}attn.in_proj_weight`, `${p}attn.in_proj_bias`),
    );
    const attended = x.map((token, t) => {
      const mixed = new Float64Array(width);
      for (let h = 0; h < heads; h++) {
        const scores = qkv.map((other) => {
          let dot = 0;
          for (let c = h * size; c < (h + 1) * size; c++) dot += qkv[t]![c]! * other[width + c]!;
          return Math.exp(dot / Math.sqrt(size));
        });
        const total = scores.reduce((a, b) => a + b, 0);
        qkv.forEach((other, s) => {
          for (let c = h * size; c < (h + 1) * size; c++)
            mixed[c]! += (scores[s]! / total) * other[2 * width + c]!;
        });
      }
      const out = this.#linear(mixed, `${p}attn.out_proj.weight`, `${p}attn.out_proj.bias`);
      return token.map((v, d) => v + out[d]!);
    });
    return attended.map((token) => {
      const hidden = this.#linear(this.#norm(token, `${p}ln_2`), `${p}mlp.c_fc.weight`, `${p}mlp.c_fc.bias`);
      const active = hidden.map((v) => v / (1 + Math.exp(-1.702 * v)));
      const out = this.#linear(active, `${p}mlp.c_proj.weight`, `${p}mlp.c_proj.bias`);
      return token.map((v, d) => v + out[d]!);
    });
  }
}

/** W x + b; W [out, in] row-major. */
export function linear(x: Vector, weight: ArrayLike<number>, bias: ArrayLike<number>): Vector {
  return Float64Array.from({ length: bias.length }, (_, row) => {
    let sum = bias[row]!;
    for (let c = 0; c < x.length; c++) sum += weight[row * x.length + c]! * x[c]!;
    return sum;
  });
}

export function cosine(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let [dot, aa, bb] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    dot += a[i]! * b[i]!;
    aa += a[i]! ** 2;
    bb += b[i]! ** 2;
  }
  return dot / Math.sqrt(aa * bb);
}

/** exp(second) / (exp(first) + exp(second)). */
export function softmaxOfSecond(first: number, second: number): number {
  return 1 / (1 + Math.exp(first - second));
}

/** CLIP's published mean and deviation of each channel taken off an image [3, S, S]. */
export function normalised(image: ArrayLike<number>): Vector {
  const mean = [0.48145466, 0.4578275, 0.40821073];
  const deviation = [0.26862954, 0.26130258, 0.27577711];
  const plane = image.length / 3;
  return Float64Array.from(image, (v, i) => {
    const c = Math.floor(i / plane);
    return (v - mean[c]!) / deviation[c]!;
  });
}

/** The tiny CLIP made for a smaller grid: its first 1 + grid * grid position embeddings. */
export function onGrid(source: TensorSource, grid: number): TensorSource {
  const name = 'visual.positional_embedding';
  const position = source.tensors.get(name)!;
  const shape = [1 + grid * grid, position.shape[1]!];
  const tensors = new Map([...source.tensors, [name, { ...position, shape }]]);
  return {
    label: source.label,
    metadata: source.metadata,
    tensors,
    read: (wanted, start = 0, end = wanted === name ? shape[0]! * shape[1]! : undefined) =>
      source.read(wanted, start, end),
    close: () => source.close(),
  };
}
