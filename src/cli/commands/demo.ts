import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { auroc, PixelAuroc } from '../../data/auroc';
import { makePhantom, modalities, type Phantom } from '../../data/phantoms';
import { resizeNearest } from '../../data/resize';
import { ensureWritableFolder, writeFileAtomic } from '../../io/node/write-file';
import { encodePng } from '../../platform/node/encode-png';
import { defaultColormap } from '../../report';
import { positiveInteger } from '../options';
import { detectFiles } from './detect';

/** Phantoms are drawn larger than the model looks at them, so that their pictures are worth looking at. */
const PHANTOM_SIZE = 224;

interface DemoFlags {
  out: string;
  count: number;
  seed: number;
  quiet?: boolean;
}

export function registerDemo(program: Command): void {
  program
    .command('demo')
    .description('draw phantoms of six modalities, detect their lesions with the shipped weights, and report')
    .option('--out <dir>', 'folder for phantoms, heatmaps and report', 'mla-lp-demo')
    .option('--count <n>', 'phantoms to draw, half of them with lesions', positiveInteger, 24)
    .option('--seed <n>', 'of the phantoms', positiveInteger, 2026)
    .option('--quiet', 'no progress')
    .action(demo);
}

async function demo(flags: DemoFlags): Promise<void> {
  const { count, seed, quiet = false } = flags;
  const images = join(flags.out, 'phantoms');
  await ensureWritableFolder(images);
  const phantoms = new Map<string, Phantom>();
  for (let i = 0; i < count; i++) {
    const modality = modalities[Math.floor(i / 2) % modalities.length]!;
    const phantom = makePhantom(seed + i, { size: PHANTOM_SIZE, modality, abnormal: i % 2 === 1 });
    const label = phantom.abnormal ? 'abnormal' : 'normal';
    const file = join(images, `${String(i).padStart(3, '0')} ${modality} ${label}.png`);
    await writeFileAtomic(file, [await encodePng(phantom.image)]);
    phantoms.set(file, phantom);
  }

  const labels: boolean[] = [];
  const scores: number[] = [];
  const pixels = new PixelAuroc();
  const { report, failed } = await detectFiles(
    [...phantoms.keys()],
    {
      weights: 'phantom-clip',
      method: 'clip',
      preset: 'authors',
      precision: 'f32',
      out: flags.out,
      colormap: defaultColormap,
      opacity: 0.5,
      range: 'full',
      quiet,
    },
    (file, { score, map, size }) => {
      const phantom = phantoms.get(file)!;
      labels.push(phantom.abnormal);
      scores.push(score);
      pixels.add(resizeNearest(phantom.mask, PHANTOM_SIZE, PHANTOM_SIZE, size), map);
    },
  );
  console.log(`${count} phantoms were drawn for this (in ${images}); no patient was photographed.`);
  const [image, pixel] = [auroc(labels, scores), pixels.value()];
  console.log(
    Number.isNaN(image) || Number.isNaN(pixel)
      ? 'No AUROC: it needs normal and abnormal phantoms (--count 2 or more).'
      : `Image AUROC ${image.toFixed(3)}, pixel AUROC ${pixel.toFixed(3)} (chance: 0.500)`,
  );
  console.log(`Open ${resolve(report!)}`);
  if (failed > 0) process.exitCode = 1;
}
