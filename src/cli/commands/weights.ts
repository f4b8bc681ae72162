import { dirname, join } from 'node:path';
import type { Command } from 'commander';
import { type CheckpointSizes, checkpointSizes, unwrappedName } from '../../io/checkpoint';
import { asClipWeights, extraTensors } from '../../io/clip-names';
import { hasLinearLayers, isLinearLayer } from '../../io/linear-layers';
import { findWeights, KNOWN_WEIGHTS } from '../../io/manifest';
import { fileBytes } from '../../io/node/file-bytes';
import { pulledPath, pullWeights, weightsCache } from '../../io/node/pull';
import { dtypeSize } from '../../io/numbers';
import { openWeights } from '../../io/open-weights';
import { openZip } from '../../io/zip';
import { type ClipConfig, readClipConfig } from '../../model/clip-config';
import { elementCount, type StoredDtype, type TensorSource } from '../../model/tensor-source';
import { MlaLpError } from '../../runtime/errors';
import { listenForInterrupt } from '../interrupt';
import { formatBytes, progressBar } from '../progress';
import { columns, shown } from '../table';

const DEFAULT_WEIGHTS = 'ViT-L-14-336px';

/** `mla-lp weights pull | list | inspect`. */
export function registerWeights(program: Command): void {
  const weights = program.command('weights').description('fetch CLIP weights, and look into weights files');
  weights
    .command('pull')
    .argument('[name]', 'which weights (see weights list)', DEFAULT_WEIGHTS)
    .description('download known weights, resume what was cut off, verify the SHA-256')
    .option('--mirror <url>', 'folder to fetch the file from (or MLA_LP_MIRROR)')
    .option('--to <dir>', 'where to put it (default: the cache, or MLA_LP_CACHE)')
    .option('--quiet', 'no progress')
    .action(pull);
  weights
    .command('list')
    .description('list known weights and which of them are here')
    .option('--json', 'print one JSON object a line')
    .action(list);
  weights
    .command('inspect')
    .argument('<file>', 'weights or a checkpoint: safetensors, an index of shards, .pt, .pth')
    .description('show what a weights file holds')
    .option('--json', 'print one JSON object')
    .action(async (file: string, { json }: { json?: boolean }) => {
      const report = await inspectWeights(file);
      console.log(json ? JSON.stringify(report, null, 2) : describeWeights(report));
    });
}

/** How long an interrupted download waits for the part under way, ms. */
const GRACE_MS = 5000;

async function pull(name: string, options: { mirror?: string; to?: string; quiet?: boolean }): Promise<void> {
  const entry = findWeights(name);
  const bar = progressBar({
    label: entry.file,
    total: entry.bytes ?? 0,
    unit: 'bytes',
    quiet: options.quiet === true,
  });
  const interrupt = listenForInterrupt(() => {}, GRACE_MS);
  let moved = false;
  try {
    const path = await pullWeights(entry, {
      mirror: options.mirror,
      to: options.to,
      signal: interrupt.signal,
      onProgress({ done, total }) {
        moved = true;
        bar.update(done, total);
      },
    });
    if (moved) bar.finish();
    console.log(path);
  } catch (error) {
    if (moved) bar.finish();
    throw error;
  } finally {
    interrupt.release();
  }
}

async function list({ json }: { json?: boolean }): Promise<void> {
  const rows = await Promise.all(
    KNOWN_WEIGHTS.map(async (entry) => ({ ...entry, path: (await pulledPath(entry)) ?? null })),
  );
  if (json) {
    for (const row of rows) console.log(JSON.stringify(row));
    return;
  }
  const where = (row: (typeof rows)[number]) => row.path ?? (row.url ? 'not pulled' : 'ships');
  const table = [['name', 'licence', 'source', 'where']];
  for (const row of rows) table.push([row.name, row.licence, row.source, where(row)]);
  console.log([...columns(table), '', `cache: ${weightsCache()}`].join('\n'));
}

/** What `weights inspect --json` prints. */
export interface WeightsReport {
  readonly file: string;
  readonly format: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly kind: 'clip' | 'checkpoint' | 'layers' | 'unknown';
  readonly clip?: ClipConfig;
  readonly checkpoint?: CheckpointSummary;
  /** Why it cannot be used as what it seems to be: missing tensors, wrong shapes. */
  readonly problem?: string;
  /** Names that its kind does not need. */
  readonly extra: readonly string[];
  readonly parameters: number;
  readonly bytes: number;
  readonly bytesF32: number;
  readonly bytesF16: number;
  readonly tensors: readonly {
    readonly name: string;
    readonly dtype: StoredDtype;
    readonly shape: readonly number[];
    readonly bytes: number;
  }[];
}

export type CheckpointSummary = CheckpointSizes & { readonly hasPrompts: boolean };

/** Opens a weights file, reads its names and shapes, and says what it is. @throws BadFileError when it cannot be opened. */
export async function inspectWeights(file: string): Promise<WeightsReport> {
  const format = await formatOf(file);
  const source = await openWeights(await fileBytes(file), (name) => fileBytes(join(dirname(file), name)));
  try {
    const tensors = [...source.tensors.values()].map(({ name, dtype, shape }) => {
      return { name, dtype, shape, bytes: elementCount(shape) * dtypeSize(dtype) };
    });
    const parameters = tensors.reduce((sum, { shape }) => sum + elementCount(shape), 0);
    return {
      file,
      format,
      metadata: Object.fromEntries(source.metadata),
      ...identify(source),
      parameters,
      bytes: tensors.reduce((sum, tensor) => sum + tensor.bytes, 0),
      bytesF32: 4 * parameters,
      bytesF16: 2 * parameters,
      tensors,
    };
  } finally {
    await source.close();
  }
}

async function formatOf(file: string): Promise<string> {
  const bytes = await fileBytes(file);
  try {
    const start = new TextDecoder('latin1').decode(await bytes.read(0, Math.min(16, bytes.size)));
    if (start.startsWith('PK')) {
      const names = [...(await openZip(bytes)).entries.keys()];
      return names.some((name) => name.endsWith('/constants.pkl')) ? 'TorchScript' : 'torch.save';
    }
    return start[8] === '{' ? 'safetensors' : 'index of shards';
  } finally {
    await bytes.close();
  }
}

const ADAPTERS = /^(seg|det)_adapters\.|^prompt_learner\./;

function identify(
  source: TensorSource,
): Pick<WeightsReport, 'kind' | 'clip' | 'checkpoint' | 'problem' | 'extra'> {
  const names = [...source.tensors.keys()];
  if (hasLinearLayers(source))
    return { kind: 'layers', extra: names.filter((name) => !isLinearLayer(unwrappedName(name))) };
  const adapters = names.filter((name) => ADAPTERS.test(unwrappedName(name)));
  const isCheckpoint = adapters.length > 0;
  const extra = isCheckpoint
    ? names.filter((name) => !ADAPTERS.test(unwrappedName(name)))
    : extraTensors(source);
  try {
    if (isCheckpoint) {
      const { checkpoint, sizes } = checkpointSizes(source);
      return { kind: 'checkpoint', checkpoint: { ...sizes, hasPrompts: checkpoint.hasPrompts }, extra };
    }
    if (extra.length === names.length) return { kind: 'unknown', extra };
    return { kind: 'clip', clip: readClipConfig(asClipWeights(source)), extra };
  } catch (error) {
    if (!(error instanceof MlaLpError)) throw error;
    return { kind: isCheckpoint ? 'checkpoint' : 'clip', problem: error.fact, extra };
  }
}

/** The report for people. */
export function describeWeights(report: WeightsReport): string {
  const { clip, checkpoint, extra, tensors } = report;
  const rows: string[][] = [
    ['file', shown(report.file)],
    ['format', report.format],
    ['holds', HOLDS[report.kind]],
  ];
  if (clip) {
    const { pretrainGrid, patch } = clip;
    const blocks = (layers: number, heads: number, width: number, mlp: number) =>
      `${layers} blocks, width ${width}, ${heads} heads, MLP ${mlp}`;
    rows.push(
      ['image tower', blocks(clip.layers, clip.heads, clip.width, clip.mlp)],
      [
        '',
        `patches of ${patch} px, trained at ${pretrainGrid * patch} px (${pretrainGrid} x ${pretrainGrid})`,
      ],
      ['text tower', blocks(clip.textLayers, clip.textHeads, clip.textWidth, clip.textMlp)],
      ['', `${clip.context} positions, ${clip.vocab} tokens`],
      ['embedding', String(clip.embed)],
    );
  }
  if (checkpoint) {
    const { stages, width, embed, promptVectors, textWidth } = checkpoint;
    rows.push(
      ['adapters', `${stages} stages, width ${width}, embedding ${embed}`],
      ['prompts', checkpoint.hasPrompts ? `${promptVectors} vectors of ${textWidth}` : 'none (as MVFA)'],
    );
  }
  if (report.problem) rows.push(['NOT USABLE', shown(report.problem)]);
  rows.push([
    'size',
    `${tensors.length} tensors, ${report.parameters} parameters, ${formatBytes(report.bytes)} stored, ` +
      `${formatBytes(report.bytesF32)} in f32, ${formatBytes(report.bytesF16)} in f16`,
  ]);
  for (const [key, value] of Object.entries(report.metadata)) rows.push([shown(key), shown(value)]);
  if (extra.length > 0) rows.push(['not needed', extra.map(shown).join(', ')]);
  const table = [['tensor', 'dtype', 'shape', 'bytes']];
  for (const { name, dtype, shape, bytes } of tensors)
    table.push([shown(name), dtype, `[${shape.join(', ')}]`, String(bytes)]);
  return [...columns(rows), '', ...columns(table)].join('\n');
}

const HOLDS = {
  clip: 'a CLIP',
  checkpoint: 'adapters (a checkpoint)',
  layers: 'linear layers of april-gan (a checkpoint)',
  unknown: 'nothing that is known here',
} as const;
