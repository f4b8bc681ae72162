/**
 * Published numbers: AUROC in per cent, of images ("AC") and of pixels ("AS").
 *
 * Source: H.-P. Thanh-Luong, V.-T. Vu, Q.-N. Ly, "Abnormality Detection In Medical Image Based On Visual-Language Model", Table 1
 * (zero-shot) and Table 2 (few-shot). Its numbers of other methods are those of C. Huang et al., "Adapting Visual-Language Models for
 * Generalizable Anomaly Detection in Medical Images", CVPR 2024. The paper calls its method MLA-PL.
 */
import type { KnownDatasetName } from '../data/known-datasets';
import type { Protocol } from './record';

export const PUBLISHED_SOURCE =
  'Thanh-Luong, Vu and Ly, "Abnormality Detection In Medical Image Based On Visual-Language Model", Tables 1 and 2; ' +
  'other methods there after Huang et al., CVPR 2024';

export type Metric = 'image' | 'pixel';

export interface Column {
  readonly dataset: string;
  /** What the paper calls the data set. */
  readonly label: string;
  readonly metric: Metric;
}

const column = (dataset: KnownDatasetName, label: string, metric: Metric): Column => ({
  dataset,
  label,
  metric,
});

/** Of both tables, in their order. */
export const publishedColumns: readonly Column[] = [
  column('Histopathology', 'HIS', 'image'),
  column('Chest', 'ChestXray', 'image'),
  column('Retina_OCT2017', 'OCT17', 'image'),
  column('Brain', 'BrainMRI', 'image'),
  column('Brain', 'BrainMRI', 'pixel'),
  column('Liver', 'LiverCT', 'image'),
  column('Liver', 'LiverCT', 'pixel'),
  column('Retina_RESC', 'RESC', 'image'),
  column('Retina_RESC', 'RESC', 'pixel'),
];

/** What tables call methods; the key is this program's name of it, where it has it. */
export const methodLabels: Readonly<Record<string, string>> = {
  clip: 'CLIP',
  winclip: 'WinCLIP',
  dra: 'DRA',
  bgad: 'BGAD',
  'april-gan': 'April-GAN',
  mvfa: 'MVFA-AD',
  'mla-lp': 'MLA-LP',
};

type Rows = Readonly<Record<string, readonly (number | null)[]>>;

// A row has a number for each of `publishedColumns`; null where the paper has a dash.
const zeroShot: Rows = {
  winclip: [69.85, 70.86, 46.64, 66.49, 85.99, 64.2, 96.2, 42.51, 80.56],
  'april-gan': [72.36, 57.49, 92.61, 76.43, 91.79, 70.57, 97.05, 75.67, 85.23],
  mvfa: [77.9, 71.11, 95.4, 78.63, 90.27, 76.24, 97.85, 83.31, 92.05],
  'mla-lp': [79.89, 68.65, 96.35, 73.62, 89.79, 76.77, 98.82, 84.5, 92.27],
};

const fewShot: Readonly<Record<number, Rows>> = {
  2: {
    dra: [72.91, 72.22, 98.08, 71.78, 72.09, 57.17, 63.13, 85.69, 65.59],
    bgad: [null, null, null, 78.7, 92.42, 72.27, 98.71, 83.58, 92.1],
    'april-gan': [69.57, 69.84, 99.21, 78.45, 94.02, 57.8, 95.87, 89.44, 96.39],
    mvfa: [82.61, 81.32, 97.98, 92.72, 96.55, 81.08, 96.57, 91.36, 98.11],
    'mla-lp': [71.45, 86.07, 98.16, 92.73, 96.98, 81.81, 98.02, 92.17, 97.63],
  },
  4: {
    dra: [68.73, 75.81, 99.06, 80.62, 74.77, 59.64, 71.79, 90.9, 77.28],
    bgad: [null, null, null, 83.56, 92.68, 72.48, 98.88, 86.22, 93.84],
    'april-gan': [76.11, 77.43, 99.41, 89.18, 94.67, 53.05, 96.24, 94.7, 97.98],
    mvfa: [82.71, 81.95, 99.38, 92.44, 97.3, 81.18, 99.73, 96.18, 98.97],
    'mla-lp': [83.05, 82.13, 99.66, 91.34, 97.1, 84.5, 99.63, 93.47, 99.02],
  },
  8: {
    dra: [74.33, 82.7, 99.13, 85.94, 75.32, 72.53, 81.78, 93.06, 83.07],
    bgad: [null, null, null, 88.01, 94.32, 74.6, 99.0, 89.96, 96.06],
    'april-gan': [81.7, 73.69, 99.75, 88.41, 95.5, 62.38, 97.56, 91.36, 97.36],
    mvfa: [85.1, 83.89, 99.64, 92.61, 97.21, 85.9, 99.79, 96.57, 99.0],
    'mla-lp': [87.38, 84.12, 99.15, 91.9, 96.95, 89.39, 99.65, 97.14, 98.92],
  },
  16: {
    dra: [79.16, 85.01, 99.87, 82.99, 80.45, 80.89, 93.0, 94.88, 84.01],
    bgad: [null, null, null, 88.05, 95.29, 78.79, 99.25, 91.29, 97.07],
    'april-gan': [81.16, 78.62, 99.93, 94.03, 96.17, 82.94, 99.64, 95.96, 98.47],
    mvfa: [82.62, 85.72, 99.66, 94.4, 97.7, 83.85, 99.73, 97.25, 99.07],
    'mla-lp': [85.56, 87.39, 99.93, 94.51, 97.91, 92.75, 99.64, 97.37, 99.34],
  },
};

function rows(protocol: Protocol, shots: number | undefined): Rows {
  return protocol === 'zero-shot' ? zeroShot : (fewShot[shots ?? 0] ?? {});
}

/** Methods with published numbers, in the table's order. */
export function publishedMethods(protocol: Protocol, shots?: number): string[] {
  return Object.keys(rows(protocol, shots));
}

/** Per cent; undefined where nothing was published. */
export function publishedValue(
  protocol: Protocol,
  shots: number | undefined,
  method: string,
  { dataset, metric }: Pick<Column, 'dataset' | 'metric'>,
): number | undefined {
  const at = publishedColumns.findIndex((c) => c.dataset === dataset && c.metric === metric);
  return rows(protocol, shots)[method]?.[at] ?? undefined;
}
