/**
 * Phantoms: drawn look-alikes of six kinds of medical picture, healthy or with lesions whose outlines are known. They need
 * no download and no patient. For demos and tests; they say nothing about how a model does on real images.
 *
 * The same seed gives the same bytes wherever Math.sin and its kin are computed alike (all V8: Node, Chromium, Deno).
 */
import { OptionError } from '../runtime/errors';
import { Random } from '../runtime/random';
import type { RgbImage } from './image';
import { blob, clamp, type Field, noise } from './phantoms/field';
import { draw, type Modality, modalities } from './phantoms/modalities';

export { type Modality, modalities, novelModalities } from './phantoms/modalities';

export interface PhantomOptions {
  /** Pixels a side; 112 when left out. */
  readonly size?: number;
  /** Drawn by lot when left out. */
  readonly modality?: Modality;
  /** With lesions or without; drawn by lot when left out. */
  readonly abnormal?: boolean;
}

export interface Phantom {
  readonly image: RgbImage;
  /** [size * size], 1 where a lesion is, 0 elsewhere. */
  readonly mask: Uint8Array<ArrayBuffer>;
  readonly modality: Modality;
  readonly abnormal: boolean;
}

/** Lesions in these are many and small. */
const speckled: readonly Modality[] = ['retinal OCT', 'fundus photograph'];

/** Stain or illumination: red, green and blue from gray. */
const tints: Partial<Record<Modality, (gray: number) => [number, number, number]>> = {
  'fundus photograph': (v) => [v, v * 0.55, v * 0.25],
  'histology slide': (v) => [v, v * 0.75, Math.sqrt(v) * 0.9],
};

/**
 * Draws one phantom.
 * @param seed any integer: the same seed and options give the same picture.
 * @throws OptionError when the size is not a whole number of at least 16.
 */
export function makePhantom(seed: number, options: PhantomOptions = {}): Phantom {
  const { size = 112 } = options;
  if (!Number.isInteger(size) || size < 16) {
    throw new OptionError(
      `A phantom of ${size} pixels cannot be drawn.`,
      'Give a whole number of 16 or more.',
    );
  }
  const random = new Random(seed);
  // Drawn even when given, so that a fixed choice leaves the rest of the picture as it was.
  const [anyModality, coin] = [random.choice(modalities), random.uniform() < 0.5];
  const modality = options.modality ?? anyModality;
  const abnormal = options.abnormal ?? coin;
  const turn = random.uniform(-0.2, 0.2);
  const [cx, cy] = [0.5 + random.uniform(-0.04, 0.04), 0.5 + random.uniform(-0.04, 0.04)];
  const texture = noise(random, size, [
    [6, 0.5],
    [14, 0.3],
    [40, 0.2],
  ]);
  const { gray, tissue, contrast } = draw[modality]({ random, size, cx, cy, turn, texture });
  const mask = new Uint8Array(size * size);
  if (abnormal) {
    const small = speckled.includes(modality);
    const lesions = random.integer(1, small ? 6 : 3);
    const places = [...tissue.keys()].filter((i) => tissue[i]! > 0.5);
    // A tiny lesion can fall between the pixels: another one is drawn until there is something to find.
    for (let k = 0; k < lesions || !mask.includes(1); k++) {
      const at = random.choice(places);
      const radius = small ? random.uniform(0.015, 0.05) : random.uniform(0.03, 0.12);
      const shape = blob(random, size, (at % size) / size, Math.floor(at / size) / size, radius);
      const level = contrast * random.uniform(0.6, 1.2);
      for (let i = 0; i < mask.length; i++) {
        const strength = shape[i]! * tissue[i]!;
        gray[i]! += strength * level * (1 + 0.2 * texture[i]!);
        if (strength > 0.5) mask[i] = 1;
      }
    }
  }
  return { image: expose(random, gray, size, modality), mask, modality, abnormal };
}

/** Sensor noise, gamma and colour, to 8 bits. */
function expose(random: Random, gray: Field, size: number, modality: Modality): RgbImage {
  const sigma = random.uniform(0.005, 0.04);
  const gamma = random.uniform(0.8, 1.25);
  const tint = tints[modality];
  const data = new Uint8Array(size * size * 3);
  for (let i = 0; i < gray.length; i++) {
    const v = clamp(gray[i]! + sigma * random.normal()) ** gamma;
    const rgb = tint ? tint(v) : [v, v, v];
    for (let c = 0; c < 3; c++) data[i * 3 + c] = Math.round(clamp(rgb[c]!) * 255);
  }
  return { width: size, height: size, data };
}
