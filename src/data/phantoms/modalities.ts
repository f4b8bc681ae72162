/** Kinds of picture, each without a lesion. What they share, lesions and noise and colour, is in ../phantoms.ts. */
import type { Random } from '../../runtime/random';
import { blob, clamp, ellipse, type Field, field, noise } from './field';

/** What phantom-clip was trained on. */
export const modalities = [
  'brain MRI',
  'liver CT',
  'chest X-ray',
  'retinal OCT',
  'fundus photograph',
  'histology slide',
] as const;

/** What it never saw: something to train on. Not drawn by lot. */
export const novelModalities = ['breast ultrasound'] as const;

export type Modality = (typeof modalities | typeof novelModalities)[number];

export interface Anatomy {
  /** Gray values, about 0..1. */
  readonly gray: Field;
  /** Above 0.5 where lesions may grow; also how strongly they show. */
  readonly tissue: Field;
  /** How much brighter (or darker) a lesion is. */
  readonly contrast: number;
}

interface Scene {
  readonly random: Random;
  readonly size: number;
  /** Centre of the body, near the middle. */
  readonly cx: number;
  readonly cy: number;
  /** Turn of the body, in radians. */
  readonly turn: number;
  /** Tissue texture, mean 0. */
  readonly texture: Field;
}

export const draw: Readonly<Record<Modality, (scene: Scene) => Anatomy>> = {
  'brain MRI': ({ random, size, cx, cy, turn, texture }) => {
    const [a, b] = [random.uniform(0.3, 0.4), random.uniform(0.36, 0.45)];
    const head = ellipse(size, { cx, cy, a, b, turn });
    const brain = ellipse(size, { cx, cy, a: a * 0.86, b: b * 0.88, turn });
    const [base, skull] = [random.uniform(0.25, 0.5), random.uniform(0.3, 0.9)];
    const left = ellipse(size, { cx: cx - 0.05, cy, a: 0.03, b: 0.1, turn: turn + 0.2 });
    const right = ellipse(size, { cx: cx + 0.05, cy, a: 0.03, b: 0.1, turn: turn - 0.2 });
    const depth = random.uniform() < 0.7 ? 0.6 : 0;
    const gray = field(size, (_x, _y, i) => {
      const tissue = head[i]! * (1 - brain[i]!) * skull + brain[i]! * (base + 0.08 * texture[i]!);
      return tissue * (1 - depth * clamp(left[i]! + right[i]!) * brain[i]!);
    });
    return { gray, tissue: brain, contrast: random.choice([0.35, 0.25, 0.45, -0.2]) };
  },

  'liver CT': ({ random, size, cx, cy, turn, texture }) => {
    const body = ellipse(size, { cx, cy, a: 0.45, b: 0.34, turn });
    const outline = blob(random, size, cx - 0.14, cy - 0.04, random.uniform(0.16, 0.22), 0.3);
    const liver = field(size, (_x, _y, i) => outline[i]! * body[i]!);
    const gray = field(size, (_x, _y, i) => body[i]! * (0.35 + 0.04 * texture[i]!) + liver[i]! * 0.18);
    const organs = random.integer(2, 6);
    for (let k = 0; k < organs; k++) {
      const [x, y, r] = [random.uniform(0.3, 0.7), random.uniform(0.3, 0.7), random.uniform(0.02, 0.06)];
      const organ = blob(random, size, x, y, r);
      const level = random.uniform(-0.2, 0.25);
      for (let i = 0; i < gray.length; i++) gray[i]! += organ[i]! * body[i]! * (1 - liver[i]!) * level;
    }
    const spine = ellipse(size, { cx, cy: cy + 0.22, a: 0.05, b: 0.05 });
    for (let i = 0; i < gray.length; i++) gray[i]! += 0.5 * spine[i]!;
    return { gray, tissue: liver, contrast: random.choice([-0.15, -0.2, 0.2]) };
  },

  'chest X-ray': ({ random, size, cx, cy, texture }) => {
    const left = ellipse(size, { cx: cx - 0.19, cy, a: 0.14, b: 0.32, turn: 0.1 });
    const right = ellipse(size, { cx: cx + 0.19, cy, a: 0.14, b: 0.32, turn: -0.1 });
    const lungs = field(size, (_x, _y, i) => clamp(left[i]! + right[i]!));
    const heart = ellipse(size, { cx: cx + 0.03, cy: cy + 0.15, a: 0.12, b: 0.14 });
    const [air, phase] = [random.uniform(0.3, 0.45), random.uniform(0, 2 * Math.PI)];
    const gray = field(size, (x, y, i) => {
      const ribs = clamp(Math.sin((y + 0.35 * (x - 0.5) ** 2) * 60 + phase));
      return 0.65 + 0.06 * texture[i]! - air * lungs[i]! + 0.06 * ribs * lungs[i]! + 0.2 * heart[i]!;
    });
    return { gray, tissue: lungs, contrast: random.choice([0.25, 0.35]) };
  },

  'retinal OCT': ({ random, size, texture }) => {
    const [waves, phase] = [random.uniform(2, 6), random.uniform(0, 2 * Math.PI)];
    const layers = Array.from({ length: 6 }, () => random.uniform(0.2, 0.7));
    const depth = (x: number, y: number) => y - 0.06 * Math.sin(x * waves + phase);
    const gray = field(size, (x, y, i) => {
      const d = depth(x, y);
      let v = 0.08 + 0.05 * Math.abs(texture[i]!) + (d > 0.33 && d < 0.66 ? 0.25 : 0);
      layers.forEach((level, k) => {
        v += level * Math.exp(-(((d - 0.35 - 0.05 * k) / 0.018) ** 2));
      });
      // Speckle grows with the signal.
      return v * (1 + 0.15 * random.normal());
    });
    const tissue = field(size, (x, y) => {
      const d = depth(x, y);
      return d > 0.34 && d < 0.64 ? 1 : 0;
    });
    return { gray, tissue, contrast: random.choice([-0.5, -0.4, 0.4]) };
  },

  'fundus photograph': ({ random, size, cx, cy, texture }) => {
    const eye = ellipse(size, { cx, cy, a: 0.44, b: 0.44 });
    const disc = ellipse(size, { cx: cx + random.choice([-0.25, 0.25]), cy, a: 0.06, b: 0.07 });
    const gray = field(size, (_x, _y, i) => eye[i]! * (0.55 + 0.05 * texture[i]! + 0.35 * disc[i]!));
    for (let k = 0; k < 6; k++) {
      // A vessel is a dark parabola through the middle, turned by some angle.
      const [angle, bend] = [random.uniform(0, 2 * Math.PI), random.uniform(-0.3, 0.3)];
      const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
      for (let row = 0, i = 0; row < size; row++) {
        for (let column = 0; column < size; column++, i++) {
          const [x, y] = [column / size - 0.5, row / size - 0.5];
          const along = x * cos + y * sin;
          const off = (y * cos - x * sin - bend * along * along) / 0.006;
          gray[i]! -= 0.2 * Math.exp(-off * off) * eye[i]!;
        }
      }
    }
    return { gray, tissue: eye, contrast: random.choice([0.35, -0.3]) };
  },

  'histology slide': ({ random, size, texture }) => {
    const gray = field(size, (_x, _y, i) => 0.75 + 0.05 * texture[i]!);
    const nuclei = random.integer(60, 120);
    const sigma = 0.012;
    // Beyond four sigma a nucleus adds less than 1e-7.
    const reach = 4 * sigma;
    for (let k = 0; k < nuclei; k++) {
      const [cx, cy] = [random.uniform(), random.uniform()];
      const [left, right] = [Math.max(0, Math.floor((cx - reach) * size)), Math.ceil((cx + reach) * size)];
      const [top, bottom] = [Math.max(0, Math.floor((cy - reach) * size)), Math.ceil((cy + reach) * size)];
      for (let row = top; row < Math.min(bottom, size); row++) {
        for (let column = left; column < Math.min(right, size); column++) {
          const distance = (column / size - cx) ** 2 + (row / size - cy) ** 2;
          gray[row * size + column]! -= 0.35 * Math.exp(-distance / (sigma * sigma));
        }
      }
    }
    return { gray, tissue: field(size, () => 1), contrast: -0.25 };
  },

  'breast ultrasound': ({ random, size, texture }) => {
    const [waves, phase] = [random.uniform(2, 7), random.uniform(0, 2 * Math.PI)];
    const [fat, gland] = [random.uniform(0.2, 0.32), random.uniform(0.66, 0.8)];
    const depth = (x: number, y: number) => y + 0.03 * Math.sin(x * waves + phase);
    const echo = field(size, (x, y, i) => {
      const d = depth(x, y);
      const level = y < 0.05 ? 0.8 : d < fat ? 0.4 : d < gland ? 0.62 : 0.35;
      const fascia = 0.35 * Math.exp(-(((d - gland) / 0.012) ** 2));
      return level + fascia + 0.06 * texture[i]!;
    });
    // Lobules of fat are as dark as a lesion; what tells them is the layer they lie in.
    const lobules = random.integer(2, 6);
    for (let k = 0; k < lobules; k++) {
      const [x, y] = [random.uniform(), random.uniform(0.1, fat)];
      const lobule = ellipse(size, { cx: x, cy: y, a: random.uniform(0.05, 0.12), b: 0.04 });
      for (let i = 0; i < echo.length; i++) echo[i]! -= 0.15 * lobule[i]!;
    }
    // Speckle multiplies: the magnitude of a complex normal field (Rayleigh; Burckhardt 1978).
    const [real, imaginary] = [noise(random, size, [[56, 1]]), noise(random, size, [[56, 1]])];
    const fading = random.uniform(0.1, 0.5);
    const gray = field(size, (_x, y, i) => {
      const speckle = 0.6 + 0.5 * Math.hypot(real[i]!, imaginary[i]!);
      return echo[i]! * speckle * (1 - fading * y);
    });
    const tissue = field(size, (x, y) => {
      const d = depth(x, y);
      return d > fat + 0.02 && d < gland - 0.02 ? 1 : 0;
    });
    return { gray, tissue, contrast: -0.25 };
  },
};
