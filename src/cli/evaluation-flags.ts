/** Options of `eval`: which model, which images, which protocol. */

import { type Command, InvalidArgumentError, Option } from 'commander';
import type { Split } from '../data/node/datasets';
import type { ModelMethod } from '../library/node';
import type { Shard } from './evaluation-run';
import { positiveInteger, shots, wholeNumber } from './options';

/** What `eval` takes to make a model of. */
export interface ModelFlags {
  weights?: string;
  model?: string;
  method?: ModelMethod;
  preset?: 'authors' | 'paper';
  imageSize?: number;
  precision: string;
  batch?: number;
  prompts?: string;
  object?: string;
  heads?: number;
  textHeads?: number;
}

/** Which memory bank, where one is wanted. */
export interface BankFlags {
  bank: 'on' | 'off';
  bankFile?: string;
  bankFrom?: string;
  shots?: number | 'all';
  shotList?: string;
  draw?: number;
  seed?: number;
  augment: boolean;
  keepGoing?: boolean;
  quiet?: boolean;
}

export interface EvalFlags extends ModelFlags, BankFlags {
  out: string;
  split: Split;
  shard: Shard;
  select: 'last' | 'best-on-test';
  resamples: number;
  calibrate?: string | true;
  pictures: number;
  json?: boolean;
}

export const DEFAULT_EVAL_OUT = 'mla-lp-eval';

export function addEvalOptions(command: Command): Command {
  return addBankOptions(addModelOptions(command))
    .option(
      '--out <dir>',
      'folder for results.json, report.html, images.csv and images.jsonl',
      DEFAULT_EVAL_OUT,
    )
    .addOption(splitOption())
    .option('--shard <i/n>', 'score every n-th image only; `mla-lp merge` joins the shards', shard, {
      index: 1,
      of: 1,
    })
    .addOption(
      new Option(
        '--select <which>',
        'last: the model as it is; best-on-test: the best of its epochs (train --keep-epochs) on these images, as the authors do',
      )
        .choices(['last', 'best-on-test'])
        .default('last'),
    )
    .option('--resamples <n>', 'bootstrap resamples of the intervals (0: none)', wholeNumber, 1000)
    .option(
      '--calibrate [rule]',
      'save a threshold with the model, for detect: f1max, youden or specificity=0.95 (use --split valid: not the test images)',
    )
    .addOption(picturesOption())
    .option('--keep-going', 'list images that cannot be read instead of stopping')
    .option('--json', 'one JSON object on standard output')
    .option('--quiet', 'no progress');
}

export function splitOption(): Option {
  return new Option('--split <name>', 'which images of a <Name>_AD folder')
    .choices(['test', 'valid'])
    .default('test');
}

export function picturesOption(): Option {
  return new Option('--pictures <n>', 'images shown in the report at most')
    .argParser(wholeNumber)
    .default(200);
}

function addModelOptions(command: Command): Command {
  return command
    .option('--weights <file>', 'CLIP weights: a file, a folder, a known name, or synthetic:<model>')
    .option('--model <file>', "trained adapters and prompts: ours, MVFA's or MLA-LP's .pth")
    .addOption(
      new Option(
        '--method <name>',
        'mla-lp or april-gan (need a model, which tells); clip (without one) or winclip (need no training)',
      ).choices(['mla-lp', 'clip', 'winclip', 'april-gan']),
    )
    .addOption(
      new Option('--preset <name>', "authors or paper (default: the model's own, else authors)").choices([
        'authors',
        'paper',
      ]),
    )
    .option(
      '--image-size <px>',
      "side the model runs at (default: the model's own; else 240, phantom-clip 112)",
      positiveInteger,
    )
    .addOption(
      new Option('--precision <type>', 'storage on the device').choices(['f32', 'f16']).default('f32'),
    )
    .option(
      '--batch <n>',
      'images per run (default: 1 on software adapters and for winclip, else 8)',
      positiveInteger,
    )
    .option('--prompts <file>', 'normal and abnormal sentences instead of fixed ones, JSON or text')
    .option(
      '--object <name>',
      "what fixed sentences call the object (default: what the model was trained with, else the data set's, else medical image)",
    )
    .option('--heads <n>', "image tower's attention heads, where width / 64 is wrong", positiveInteger)
    .option('--text-heads <n>', "text tower's attention heads", positiveInteger);
}

function addBankOptions(command: Command): Command {
  return command
    .addOption(
      new Option(
        '--bank <on|off>',
        'on: the few-shot protocol, with a memory bank of normal images; off: the zero-shot protocol',
      )
        .choices(['on', 'off'])
        .default('off'),
    )
    .option(
      '--bank-file <file>',
      'a bank that `train --bank` wrote (default: the one beside the model, if any, unless images are named)',
    )
    .option('--bank-from <dir>', 'data set whose normal images fill the bank (default: the valid split)')
    .option(
      '--shots <k>',
      'normal images in the bank, or all (default: those the model was trained on, else all)',
      shots,
    )
    .option('--shot-list <file>', 'published list of the shots')
    .option('--draw <n>', 'which draw of the list (default: 0)', wholeNumber)
    .option('--seed <n>', 'of the shots (default: 111) and of the intervals (default: 0)', wholeNumber)
    .option('--no-augment', 'normal images as they are in the bank, not in eleven versions');
}

function shard(text: string): Shard {
  const match = /^(\d+)\/(\d+)$/.exec(text);
  const [index, of] = [Number(match?.[1]), Number(match?.[2])];
  if (!(index >= 1 && index <= of))
    throw new InvalidArgumentError('It must be i/n, as in 1/4, with i from 1 to n.');
  return { index, of };
}
