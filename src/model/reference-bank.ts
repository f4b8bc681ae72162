/** Features of normal reference images on the device, for methods that compare with the images as they are. */
import { BufferStore } from '../runtime/buffer-store';
import { AbortedError, OptionError, ValueError } from '../runtime/errors';
import type { InputData } from '../runtime/executable';
import type { Graph, Tensor } from '../runtime/graph';
import type { Clip } from './clip';
import { packImages } from './clip-pixels';
import type { NormalImages } from './memory-bank-features';

/** One kind of feature: output `name` of the graph that computes it, [1, skip + rows, cols], rows of length 1. */
export interface ReferenceFeature {
  readonly name: string;
  /** Rows an image. */
  readonly rows: number;
  /** Rows before them that no distance is taken to: class tokens. */
  readonly skip: number;
  readonly cols: number;
}

export interface ReferenceGraph {
  /** Input: images f32 [1, 3, S, S], and `inputs`. */
  readonly graph: Graph;
  readonly inputs: Readonly<Record<string, InputData>>;
  readonly features: readonly ReferenceFeature[];
  readonly imageSize: number;
  /** Whether pixels are normalised as CLIP was trained. */
  readonly normalise: boolean;
}

export class ReferenceBank {
  private constructor(
    /** The tiles. */
    readonly store: BufferStore,
    /** Rows of each tile by feature. */
    private readonly tiles: ReadonlyMap<string, readonly number[]>,
    private readonly features: readonly ReferenceFeature[],
  ) {}

  /**
   * Computes every image's features once.
   * @param tileBytes most bytes of a tile, which holds whole images.
   * @throws OptionError without images, what loading them throws, ValueError for features that are not finite, AbortedError,
   * OutOfMemoryError.
   */
  static async create(
    clip: Clip,
    { graph, inputs, features, imageSize, normalise }: ReferenceGraph,
    images: Omit<NormalImages, 'augment'>,
    tileBytes = Math.min(clip.gpu.caps.maxBindingBytes, clip.gpu.caps.maxBufferBytes),
  ): Promise<ReferenceBank> {
    if (images.count < 1)
      throw new OptionError('Few-shot scoring needs normal images.', 'Give at least one as reference.');
    const store = new BufferStore(clip.gpu);
    /** Images whose rows share a tile. */
    const perTile = new Map(
      features.map(({ name, rows, cols }) => [name, Math.max(1, Math.floor(tileBytes / (4 * rows * cols)))]),
    );
    const tiles = new Map<string, number[]>();
    try {
      for (const { name, rows, cols } of features) {
        const share = perTile.get(name)!;
        const counts = Array.from({ length: Math.ceil(images.count / share) }, (_, tile) =>
          Math.min(share, images.count - tile * share),
        );
        tiles.set(
          name,
          counts.map((count) => count * rows),
        );
        for (const [tile, count] of counts.entries())
          await store.create(tileName(name, tile), { dtype: 'f32', shape: [count * rows, cols] });
      }
      const executable = await clip.compile(graph);
      try {
        for (let i = 0; i < images.count; i++) {
          if (images.signal?.aborted) throw new AbortedError();
          const pixels = packImages([await images.load(i)], 1, imageSize, normalise);
          const out = await executable.run({ images: pixels, ...inputs });
          for (const { name, rows, skip, cols } of features) {
            const values = (out[name] as Float32Array<ArrayBuffer>).subarray(skip * cols);
            if (!values.every(Number.isFinite))
              throw new ValueError(
                `The features of reference image ${i + 1} are not finite.`,
                'Check the weights.',
              );
            const share = perTile.get(name)!;
            await store.write(tileName(name, Math.floor(i / share)), values, (i % share) * rows * cols);
          }
          images.onProgress?.(i + 1, images.count);
        }
      } finally {
        executable.destroy();
      }
      await store.flush();
      return new ReferenceBank(store, tiles, features);
    } catch (error) {
      store.destroy();
      throw error;
    }
  }

  /** A feature's tiles as weights of a graph, f32 [rows, cols] each. */
  tensors(g: Graph, name: string): Tensor[] {
    const { cols } = this.features.find((feature) => feature.name === name)!;
    return this.tiles.get(name)!.map((rows, tile) => g.weight(tileName(name, tile), 'f32', [rows, cols]));
  }

  destroy(): void {
    this.store.destroy();
  }
}

function tileName(feature: string, tile: number): string {
  return `references.${feature}.${tile}`;
}
