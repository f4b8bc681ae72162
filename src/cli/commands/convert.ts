import { realpath } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Command, Option } from 'commander';
import {
  formatOfPath,
  readCheckpoint,
  safetensorsCheckpoint,
  type TorchLayout,
  torchCheckpoint,
} from '../../io/convert-checkpoint';
import { fileBytes } from '../../io/node/file-bytes';
import { writeFileAtomic } from '../../io/node/write-file';
import { openWeights } from '../../io/open-weights';
import { OptionError } from '../../runtime/errors';

/** `mla-lp convert`: trained adapters and prompts between our safetensors and the authors' .pth. */
export function registerConvert(program: Command): void {
  program
    .command('convert')
    .description(
      "turn trained adapters and prompts into safetensors, or into a .pth that the authors' code loads",
    )
    .argument('<in>', "a checkpoint: ours, MVFA's or MLA-LP's .pth")
    .argument('<out>', 'file to write; .pth, .pt or .safetensors')
    .addOption(
      new Option(
        '--format <layout>',
        'of a .pth: mla-lp, or mvfa, which has no prompts (default: mla-lp where there are learned prompts)',
      ).choices(['mla-lp', 'mvfa']),
    )
    .option('--quiet', 'say nothing')
    .action(convert);
}

async function convert(
  from: string,
  to: string,
  { format, quiet }: { format?: TorchLayout; quiet?: boolean },
): Promise<void> {
  const written = formatOfPath(to);
  if (format !== undefined && written !== 'torch')
    throw new OptionError('--format is for .pth files.', 'Leave it out, or name the output .pth.');
  const [source, target] = await Promise.all([from, to].map((path) => realpath(path).catch(() => undefined)));
  if (source !== undefined && source === target)
    throw new OptionError(`${to} is the input.`, 'Give the output another name.');
  const opened = await openWeights(await fileBytes(from), (name) => fileBytes(join(dirname(from), name)));
  const content = await readCheckpoint(opened).finally(() => opened.close());
  const { stages, width, embed, promptVectors } = content.sizes;
  const layout = format ?? (promptVectors === undefined ? 'mvfa' : 'mla-lp');
  const chunks = written === 'torch' ? torchCheckpoint(content, layout) : safetensorsCheckpoint(content);
  await writeFileAtomic(to, chunks);
  if (quiet) return;
  const what = written === 'torch' ? `torch.save, layout ${layout}` : 'safetensors';
  const prompts = promptVectors === undefined ? 'no prompts' : `prompts of ${promptVectors} vectors`;
  console.error(`${to}: ${what}; adapters of ${stages} stages (${width} to ${embed}), ${prompts}.`);
  if (written !== 'torch') return;
  const last = `_adapters.${stages - 1}.fc2.0.weight`;
  if (['seg', 'det'].some((head) => !content.tensors.has(head + last)))
    console.error(
      'The last stage’s second matrices, which nothing follows, are not in the input: zeros were written.',
    );
  if (layout === 'mvfa' && promptVectors !== undefined)
    console.error('MVFA’s layout has no learned prompts: they were left out. Scores will differ.');
}
