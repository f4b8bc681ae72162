import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { openDataset } from '../../data/node/datasets';
import { type Modality, makePhantom, type Phantom } from '../../data/phantoms';
import { resizeNearest } from '../../data/resize';
import { ensureWritableFolder, writeFileAtomic } from '../../io/node/write-file';
import { MlaLp } from '../../library/node';
import { auroc, type PixelImage, pixelMetrics } from '../../metrics';
import type { Detection } from '../../model/detector';
import { encodePng } from '../../platform/node/encode-png';
import { defaultColormap } from '../../report';
import { positiveInteger, wholeNumber } from '../options';
import { openSession, type Session } from '../session';
import { readPrompts, sidecarPrompts } from '../sidecar';
import { trainToFile } from '../training-run';
import { detectFiles } from './detect';
import { trainingImages } from './train';

const WEIGHTS = 'phantom-clip';

/** Phantoms are drawn larger than the model looks at them, so that their pictures are worth looking at. */
const PHANTOM_SIZE = 224;

/** A kind of picture that phantom-clip never saw: what training is for. */
const MODALITY: Modality = 'breast ultrasound';

/** What a minute on two slow cores affords, and phantom-clip learns well from (test/slow/learns.test.ts). */
const TRAINING = {
  imageSize: 112,
  batch: 4,
  augment: false,
  adapterRate: 1e-3,
  promptRate: 1e-3,
  schedule: 'cosine',
  warmup: 2,
} as const;

interface DemoFlags {
  out: string;
  train: number;
  steps: number;
  count: number;
  seed: number;
  quiet?: boolean;
}

export function registerDemo(program: Command): void {
  program
    .command('demo')
    .description(
      `draw phantoms of ${MODALITY}, which phantom-clip never saw, train on some, detect lesions in others, and report`,
    )
    .option('--out <dir>', 'folder for phantoms, model, heatmaps and report', 'mla-lp-demo')
    .option('--train <n>', 'phantoms to train on, half of them with lesions', positiveInteger, 64)
    .option('--steps <n>', 'training steps (0: no training, the baseline alone)', wholeNumber, 24)
    .option(
      '--count <n>',
      'other phantoms to detect lesions in, half of them with lesions',
      positiveInteger,
      120,
    )
    .option('--seed <n>', 'of the phantoms', positiveInteger, 2026)
    .option('--quiet', 'no progress')
    .action(demo);
}

async function demo(flags: DemoFlags): Promise<void> {
  const { out, seed, quiet = false } = flags;
  await ensureWritableFolder(out);
  const held = await drawDataset(join(out, 'phantoms'), flags.count, seed);
  const session = await openSession({ weights: WEIGHTS, precision: 'f32', quiet });
  try {
    const baseline = new Tally(held);
    const trained = new Tally(held);
    const checkpoint = join(out, 'model.safetensors');
    if (flags.steps > 0) {
      await detectPlain(session, held, baseline);
      const folder = join(out, 'train');
      await drawDataset(folder, flags.train, seed + 1_000_000);
      const trainer = await trainToFile({
        session,
        images: trainingImages(await openDataset(folder, { split: 'valid' })),
        options: { ...TRAINING, steps: flags.steps, seed },
        out: checkpoint,
        resume: false,
        bank: false,
        saveSeconds: 3600,
        quiet,
      });
      await trainer.destroy();
    }
    const method = flags.steps > 0 ? { method: 'mla-lp' as const, checkpoint } : { method: 'clip' as const };
    const { report, failed } = await detectFiles(
      [...held.keys()],
      {
        weights: WEIGHTS,
        ...method,
        precision: 'f32',
        out,
        colormap: defaultColormap,
        opacity: 0.5,
        range: 'full',
        quiet,
      },
      { session, onDetection: (file, detection) => trained.add(file, detection) },
    );
    console.log(
      `${held.size + (flags.steps > 0 ? flags.train : 0)} phantoms were drawn for this; no patient was photographed.`,
    );
    if (flags.steps > 0) {
      console.log(`Before training, plain CLIP: ${await baseline.summary()}`);
      console.log(
        `Trained, ${flags.steps} steps on ${flags.train} other phantoms: ${await trained.summary()}`,
      );
    } else {
      console.log(`Plain CLIP: ${await trained.summary()}`);
    }
    console.log('(on phantoms that it was not trained on; chance: 0.500)');
    console.log(`Open ${resolve(report!)}`);
    if (flags.steps > 0 && flags.count > 1) {
      const bank = `--bank on --bank-from ${join(out, 'train')}`;
      console.log(
        `With a memory bank and intervals: mla-lp eval ${join(out, 'phantoms')} --weights ${WEIGHTS} --model ${checkpoint} ${bank} --out ${join(out, 'eval')}`,
      );
    }
    if (failed > 0) process.exitCode = 1;
  } finally {
    await session.close();
  }
}

function drawOne(seed: number, i: number): Phantom {
  return makePhantom(seed + i, { size: PHANTOM_SIZE, modality: MODALITY, abnormal: i % 2 === 1 });
}

/**
 * A data set as `mla-lp train` and `eval` take it: normal/, abnormal/ and masks/.
 * @returns the phantoms by their file, every second one with lesions.
 */
async function drawDataset(folder: string, count: number, seed: number): Promise<Map<string, Phantom>> {
  for (const part of ['normal', 'abnormal', 'masks']) await ensureWritableFolder(join(folder, part));
  const phantoms = new Map<string, Phantom>();
  for (let i = 0; i < count; i++) {
    const phantom = drawOne(seed, i);
    const { image, mask, abnormal } = phantom;
    const name = `${String(i).padStart(3, '0')}.png`;
    const file = join(folder, abnormal ? 'abnormal' : 'normal', name);
    await writeFileAtomic(file, [await encodePng(image)]);
    phantoms.set(file, phantom);
    if (!abnormal) continue;
    const data = Uint8Array.from({ length: 3 * mask.length }, (_, p) => 255 * mask[Math.floor(p / 3)]!);
    const picture = { width: PHANTOM_SIZE, height: PHANTOM_SIZE, data };
    await writeFileAtomic(join(folder, 'masks', name), [await encodePng(picture)]);
  }
  return phantoms;
}

/** The training-free baseline with the sentences that come with the weights. */
async function detectPlain(
  session: Session,
  held: ReadonlyMap<string, Phantom>,
  tally: Tally,
): Promise<void> {
  const { set, imageSize } = await readPrompts((await sidecarPrompts(WEIGHTS))!);
  const model = await MlaLp.load(session.clip, {
    method: 'clip',
    prompts: set,
    ...(imageSize && { nativeImageSize: imageSize }),
  });
  const files = [...held.keys()];
  for await (const outcome of model.detectEach(files)) {
    if ('error' in outcome) throw outcome.error;
    tally.add(files[outcome.index]!, outcome.detection);
  }
  await model.destroy();
}

/** Collects what is needed for the AUROCs. */
class Tally {
  readonly #labels: boolean[] = [];
  readonly #scores: number[] = [];
  /** Of the map: the image score that the paper takes where there are masks. */
  readonly #maxima: number[] = [];
  readonly #pixels: PixelImage[] = [];

  constructor(private readonly phantoms: ReadonlyMap<string, Phantom>) {}

  add(file: string, { score, map, size }: Detection): void {
    const phantom = this.phantoms.get(file)!;
    this.#labels.push(phantom.abnormal);
    this.#scores.push(score);
    this.#maxima.push(map.reduce((a, b) => Math.max(a, b)));
    this.#pixels.push({ map, mask: resizeNearest(phantom.mask, PHANTOM_SIZE, PHANTOM_SIZE, size) });
  }

  async summary(): Promise<string> {
    const [image, peak] = [this.#scores, this.#maxima].map((s) => auroc(this.#labels, s)) as [number, number];
    const pixel = (await pixelMetrics(this.#pixels, { resamples: 0 })).auroc.value;
    return Number.isNaN(image) || Number.isNaN(pixel)
      ? 'no AUROC: it needs normal and abnormal phantoms (--count 2 or more)'
      : `image AUROC ${image.toFixed(3)} (by the map's maximum ${peak.toFixed(3)}), pixel AUROC ${pixel.toFixed(3)}`;
  }
}
