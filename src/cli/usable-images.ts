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
  const total = datasets.reduce((sum, { images }) => sum + images.length, 0);
  const bar = progressBar({ label: 'check', total, unit: 'images', quiet });
  const broken = new Set<string>();
  let done = 0;
  for (const { images } of datasets) {
    for (const image of images) {
      try {
        await checkSample(image, (path, options) => platform().readImage(path, path, options));
      } catch (error) {
        if (!(error instanceof BadImageError)) throw error;
        broken.add(image.path);
        console.error(`mla-lp: ${keepGoing ? 'left out: ' : ''}${error.message}`);
      }
      bar.update(++done);
    }
  }
  bar.finish();
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
