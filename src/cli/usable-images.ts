/** Images that cannot be used are found before training starts, not hours into it. */
import { type Dataset, makeDataset, otherWarnings } from '../data/datasets';
import { checkSample } from '../data/load-sample';
import { platform } from '../library/platform';
import { BadImageError, MlaLpError } from '../runtime/errors';
import { progressBar } from './progress';

export interface UsableOptions {
  /** Leaves out and lists what cannot be used, instead of stopping. */
  readonly keepGoing: boolean;
  readonly quiet: boolean;
}

/** Paths of those that cannot be decoded or whose mask does not fit; each is named on standard error. */
export async function brokenImages(
  images: Dataset['images'],
  { keepGoing, quiet }: UsableOptions,
): Promise<Set<string>> {
  const bar = progressBar({ label: 'check', total: images.length, unit: 'images', quiet });
  const broken = new Set<string>();
  for (const [i, image] of images.entries()) {
    try {
      await checkSample(image, (path, options) => platform().readImage(path, path, options));
    } catch (error) {
      if (!(error instanceof BadImageError)) throw error;
      broken.add(image.path);
      console.error(`mla-lp: ${keepGoing ? 'left out: ' : ''}${error.message}`);
    }
    bar.update(i + 1);
  }
  bar.finish();
  return broken;
}

/**
 * Decodes every image and mask once, as training will, and names each that cannot be used on standard error.
 * @returns the data sets without those images; unchanged where all are well.
 * @throws MlaLpError `bad-image` when there are some, unless they are to be left out. @throws OptionError when nothing of a class
 * is left.
 */
export async function usableImages(
  datasets: readonly Dataset[],
  { keepGoing, quiet }: UsableOptions,
): Promise<Dataset[]> {
  const images = datasets.flatMap((dataset) => dataset.images);
  const total = images.length;
  const broken = await brokenImages(images, { keepGoing, quiet });
  if (broken.size === 0) return [...datasets];
  const count = `${broken.size} of ${total} images cannot be used`;
  if (!keepGoing) {
    throw new MlaLpError(
      'bad-image',
      `${count}; nothing was trained.`,
      'Mend or remove them, or leave them out with --keep-going. `mla-lp data check` says more about a data set.',
    );
  }
  console.error(`mla-lp: ${count} and ${broken.size === 1 ? 'was' : 'were'} left out.`);
  return datasets.map((dataset) => {
    const left = dataset.images.filter(({ path }) => !broken.has(path));
    if (left.length === dataset.images.length) return dataset;
    const { name, unused } = dataset;
    return makeDataset(name, name, left, { warnings: otherWarnings(dataset), unused });
  });
}
