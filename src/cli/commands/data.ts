import { createHash } from 'node:crypto';
import { dirname, join, sep } from 'node:path';
import { type Command, Option } from 'commander';
import { type CheckReport, type ClassCount, checkSplits, type SplitToCheck } from '../../data/check/check';
import { type Finding, finding, findingKinds, type Severity } from '../../data/check/findings';
import { datasetFolders, openSplit, splitsOf } from '../../data/node/datasets';
import { decodeImage, readFileBytes } from '../../platform/node/decode-image';
import { OptionError } from '../../runtime/errors';
import { listenForInterrupt } from '../interrupt';
import { positiveInteger } from '../options';
import { progressBar } from '../progress';
import { columns, shown } from '../table';

interface CheckFlags {
  imageSize: number;
  split?: string;
  json?: boolean;
  quiet?: boolean;
}

/** `mla-lp data check`: what is wrong with labelled data sets, before anybody trains on them. Exit code 1 where errors were found. */
export function registerData(program: Command): void {
  const data = program.command('data').description('look into labelled data sets');
  data
    .command('check')
    .description('find unreadable images, masks that are missing or do not fit, duplicates and leaks')
    .argument('<path>', 'a data set (folder or CSV), or a folder of <Name>_AD data sets')
    .option('--image-size <px>', 'side the model will run at', positiveInteger, 240)
    .addOption(new Option('--split <name>', 'look at one split only').choices(['valid', 'test']))
    .option('--json', 'print one JSON object, with every finding')
    .option('--quiet', 'no progress')
    .action(check);
}

/** How long an interrupted check waits for the image under way, ms. */
const GRACE_MS = 5000;

/** What `data check --json` prints. */
export interface DataReport extends CheckReport {
  readonly errors: number;
  readonly warnings: number;
  readonly hints: number;
}

async function check(path: string, flags: CheckFlags): Promise<void> {
  const interrupt = listenForInterrupt(() => {
    if (flags.quiet !== true) console.error('\nStopping; what was found so far follows.');
  }, GRACE_MS);
  try {
    const report = await checkData(path, { ...flags, signal: interrupt.signal });
    console.log(flags.json ? JSON.stringify(report, null, 2) : describeData(report));
    // Under a signal the exit code is that one's.
    if (report.errors > 0) process.exitCode ??= 1;
  } finally {
    interrupt.release();
  }
}

/** Checks all that lies at a path. @throws OptionError when no data set is there. */
export async function checkData(
  path: string,
  { imageSize, split: only, quiet, signal }: CheckFlags & { signal?: AbortSignal },
): Promise<DataReport> {
  const folders = await datasetFolders(path);
  const places = folders.length > 0 ? folders.map((folder) => join(path, folder)) : [path];
  const prefix = pathPrefix(folders.length > 0 || !/\.csv$/i.test(path) ? path : dirname(path));
  const shorten = (text: string) => (prefix === '' ? text : text.replaceAll(prefix, '')).replaceAll(sep, '/');
  const splits: SplitToCheck[] = [];
  const unopened: Finding[] = [];
  for (const place of places) {
    const found = await openAll(place, only, folders.length > 0);
    splits.push(...found.splits);
    for (const fact of found.facts) unopened.push(finding('layout', datasetName(place), [], shorten(fact)));
  }
  const total = splits.reduce((sum, { dataset }) => sum + dataset.images.length, 0);
  const bar = progressBar({ label: 'check', total, unit: 'images', quiet: quiet === true });
  const report = await checkSplits(splits, {
    side: imageSize,
    shorten,
    read: readFileBytes,
    decode: decodeImage,
    digest: (...parts) => {
      const hash = createHash('sha256');
      for (const part of parts) hash.update(part);
      // 132 bits: enough that no two pictures ever share them.
      return hash.digest('base64url').slice(0, 22);
    },
    ...(signal && { signal }),
    onProgress: (done) => bar.update(done),
  });
  bar.finish();
  const findings = [...unopened, ...report.findings];
  const count = (severity: Severity) => findings.filter((f) => f.severity === severity).length;
  return { ...report, findings, errors: count('error'), warnings: count('warning'), hints: count('hint') };
}

/** What every path below the folder begins with; '' for the current folder. */
function pathPrefix(folder: string): string {
  return join(folder, 'x').slice(0, -1);
}

function datasetName(place: string): string {
  return place.slice(place.lastIndexOf(sep) + 1).replace(/_AD$/i, '');
}

/** @param several whether other data sets stand beside it: then one that cannot be opened is a finding like others. */
async function openAll(
  place: string,
  only: string | undefined,
  several: boolean,
): Promise<{ splits: SplitToCheck[]; facts: string[] }> {
  const splits: SplitToCheck[] = [];
  const facts: string[] = [];
  const attempt = async <T>(work: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof OptionError)) throw error;
      facts.push(error.fact);
      return undefined;
    }
  };
  const there = several ? ((await attempt(() => splitsOf(place))) ?? []) : await splitsOf(place);
  const names = there.filter((split) => only === undefined || split === only || split === 'all');
  if (names.length === 0 && facts.length === 0) facts.push(`${place}: there is no split ${only}.`);
  for (const split of names) {
    const dataset = await attempt(() => openSplit(place, split));
    if (dataset) splits.push({ split, dataset });
  }
  return { splits, facts };
}

/** Findings of a kind that are printed. */
const SHOWN = 10;
const HEADER = ['data set', 'split', 'class', 'images', 'unreadable', 'masks', 'in colour', 'size'];

/** The report for people. */
export function describeData(report: DataReport): string {
  const { counts, findings, complete, checked, errors, warnings, hints } = report;
  const lines = columns([HEADER, ...counts.map(countRow)]);
  for (const group of grouped(findings)) {
    const [{ severity, dataset, kind }] = group;
    lines.push(
      '',
      `${severity.toUpperCase()}  ${shown(dataset)}: ${findingKinds[kind].title} (${group.length})`,
    );
    for (const { files, detail } of group.slice(0, SHOWN)) {
      lines.push(`  ${[files.map(shown).join(' = '), shown(detail)].filter(Boolean).join(': ')}`);
    }
    if (group.length > SHOWN) lines.push(`  and ${group.length - SHOWN} more; --json lists all`);
  }
  lines.push('');
  if (!complete) lines.push('Stopped before the end: only what was looked at until then is counted.');
  const numbers = [plural(errors, 'error'), plural(warnings, 'warning'), plural(hints, 'hint')];
  lines.push(`${plural(checked, 'image')} checked: ${numbers.join(', ')}.`);
  return lines.join('\n');
}

function countRow({
  dataset,
  split,
  label,
  images,
  unreadable,
  masks,
  coloured,
  size,
}: ClassCount): string[] {
  const range = ([low, high]: readonly [number, number]) => (low === high ? String(low) : `${low}-${high}`);
  const sides = size ? `${range(size.width)} x ${range(size.height)}` : '';
  return [shown(dataset), split, label, ...[images, unreadable, masks, coloured].map(String), sides];
}

/** By kind and data set, in the order in which each comes first. */
function grouped(findings: readonly Finding[]): [Finding, ...Finding[]][] {
  const groups = new Map<string, [Finding, ...Finding[]]>();
  for (const one of findings) {
    const key = `${one.kind} ${one.dataset}`;
    const group = groups.get(key);
    if (group) group.push(one);
    else groups.set(key, [one]);
  }
  return [...groups.values()];
}

function plural(count: number, one: string): string {
  return `${count} ${one}${count === 1 ? '' : 's'}`;
}
