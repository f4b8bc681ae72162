/** What a check of data sets can find, and how bad each is. */

export type Severity = 'error' | 'warning' | 'hint';

/** `title` heads a list of files. Errors stop training or make its results worthless; warnings may be meant. */
export const findingKinds = {
  layout: { severity: 'error', title: 'cannot be opened as a labelled data set' },
  'unreadable-image': { severity: 'error', title: 'images that cannot be read' },
  'unreadable-mask': { severity: 'error', title: 'masks that cannot be read' },
  'bad-mask': { severity: 'error', title: 'masks that do not fit their image' },
  'marked-normal': { severity: 'error', title: 'normal images whose mask marks something abnormal' },
  leak: {
    severity: 'error',
    title: 'images that are in two splits or two data sets: tests would see what was trained on',
  },
  contradiction: { severity: 'error', title: 'images that are normal and abnormal at once' },
  'lacking-mask': {
    severity: 'error',
    title: 'abnormal images without a mask, in a data set that is published with masks',
  },
  'missing-mask': { severity: 'warning', title: 'abnormal images without a mask, where others have one' },
  'empty-mask': { severity: 'warning', title: 'masks of abnormal images that mark nothing' },
  'vanishing-mask': { severity: 'warning', title: "masks that mark nothing any more at the model's size" },
  'scaled-mask': { severity: 'warning', title: 'masks of another size than their image, but of its shape' },
  'normal-mask': { severity: 'warning', title: 'masks of normal images; they are not read' },
  'stray-mask': { severity: 'warning', title: 'masks that belong to no image' },
  duplicate: { severity: 'warning', title: 'images that are there more than once' },
  'small-image': { severity: 'warning', title: "images far smaller than the model's input" },
  'mixed-colour': {
    severity: 'warning',
    title: 'gray and coloured images are mixed: a model can learn that difference',
  },
  folder: { severity: 'warning', title: 'about the folders' },
  'near-duplicate': { severity: 'hint', title: 'images that look alike; see for yourself' },
} as const satisfies Record<string, { readonly severity: Severity; readonly title: string }>;

export type FindingKind = keyof typeof findingKinds;

export interface Finding {
  readonly kind: FindingKind;
  readonly severity: Severity;
  readonly dataset: string;
  /** Names from the folder that was checked, with slashes; several where they are alike. */
  readonly files: readonly string[];
  /** A clause about them; '' where the kind says all. */
  readonly detail: string;
}

export function finding(kind: FindingKind, dataset: string, files: readonly string[], detail = ''): Finding {
  return { kind, severity: findingKinds[kind].severity, dataset, files, detail };
}
