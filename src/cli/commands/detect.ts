import { basename } from 'node:path';
import { type Command, Option } from 'commander';
import { listImages } from '../../data/node/list-images';
import { describeCalibration, type Judgement, judge } from '../../evaluation/judge';
import { fileBytes } from '../../io/node/file-bytes';
import { ensureWritableFolder } from '../../io/node/write-file';
import { version } from '../../io/version';
import { readInput } from '../../library/image-input';
import { type DetectionModel, loadModel, MlaLp, type ModelMethod } from '../../library/node';
import type { Detection } from '../../model/detector';
import { type ColormapName, colormapNames, defaultColormap } from '../../report';
import { AbortedError, OptionError } from '../../runtime/errors';
import { FewShotResults } from '../few-shot-results';
import { listenForInterrupt } from '../interrupt';
import { MapWriter } from '../map-writer';
import { fraction, grayWindow, positiveInteger, sliceRange, voxelAxis, wholeNumber } from '../options';
import { openPictures, type Picture, type VolumeFlags } from '../pictures';
import { progressBar } from '../progress';
import { ResultWriter } from '../result-writer';
import { openSession, type Session } from '../session';
import { choosePrompts } from '../sidecar';
import { VolumeMaps } from '../volume-maps';

export interface DetectFlags extends VolumeFlags {
  export?: 'dicom' | 'nifti';
  weights?: string;
  method?: ModelMethod;
  checkpoint?: string;
  preset?: 'authors' | 'paper';
  bank?: string;
  bankImages?: string;
  bankVersions?: 'all' | 'one';
  bankMemory?: number;
  imageSize?: number;
  precision: string;
  batch?: number;
  prompts?: string;
  object?: string;
  heads?: number;
  textHeads?: number;
  out?: string;
  json?: boolean;
  maps?: string;
  colormap: ColormapName;
  opacity: number;
  range: 'full' | 'auto';
  quiet?: boolean;
}

/** How long an interrupted run waits for the batch under way, ms. */
const GRACE_MS = 5000;

const DEFAULT_OUT = 'mla-lp-results';

export function registerDetect(program: Command): void {
  program
    .command('detect')
    .description('score images and draw heatmaps of what looks abnormal')
    .argument('<images...>', 'image files, folders or glob patterns')
    .option(
      '--weights <file>',
      'CLIP weights: a file, a folder, a known name (phantom-clip ships), or synthetic:<model>',
    )
    .option('--checkpoint <file>', "trained adapters and prompts: ours, MVFA's or MLA-LP's .pth")
    .addOption(
      new Option(
        '--method <name>',
        'mla-lp or april-gan (need a checkpoint); clip or winclip (need no training)',
      ).choices(['mla-lp', 'clip', 'winclip', 'april-gan']),
    )
    .option('--bank <file>', 'few-shot: compare with the memory bank that `train --bank` wrote')
    .option('--bank-images <dir>', 'few-shot: compare with the normal images of this folder')
    .addOption(
      new Option(
        '--bank-versions <which>',
        'of --bank-images: all eleven (rotated, moved, flipped; the default), or one, as they are',
      ).choices(['all', 'one']),
    )
    .option(
      '--bank-memory <MB>',
      'room for the bank on the device (default: 2147); a larger bank is uploaded for every batch',
      positiveInteger,
    )
    .addOption(
      new Option(
        '--preset <name>',
        "authors: the released code; paper: the paper's equations (default: the checkpoint's own, else authors)",
      ).choices(['authors', 'paper']),
    )
    .option(
      '--image-size <px>',
      "side the model runs at (default: the checkpoint's own; else phantom-clip 112, others 240)",
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
    .option('--prompts <file>', 'normal and abnormal sentences for methods clip and winclip, JSON or text')
    .option('--object <name>', 'what fixed sentences call the object (default: medical image)')
    .option('--heads <n>', "image tower's attention heads, where width / 64 is wrong", positiveInteger)
    .option('--text-heads <n>', "text tower's attention heads", positiveInteger)
    .option('--out <dir>', `folder for heatmaps and report.html (default: ${DEFAULT_OUT}, none with --json)`)
    .option(
      '--json',
      'one JSON object a line on standard output: file, score, levels; with a bank memory and fused, at the end',
    )
    .option(
      '--maps <file>',
      'also write every map [S, S] f32 to this safetensors file, named by image; with a bank <image>#memory too',
    )
    .addOption(
      new Option('--colormap <name>', 'colours of heatmaps')
        .choices([...colormapNames])
        .default(defaultColormap),
    )
    .option('--opacity <0..1>', 'of the heatmap over the image', fraction, 0.5)
    .addOption(
      new Option(
        '--range <kind>',
        "colour range: full (0 to 4 stages, 0 to 1 for clip and winclip) or auto (each image's own extremes)",
      )
        .choices(['full', 'auto'])
        .default('full'),
    )
    .option('--slices <a:b:step>', 'of DICOM and NIfTI volumes: from a, before b, counted from 0', sliceRange)
    .option(
      '--axis <n>',
      "cut NIfTI across voxel axis 0, 1 or 2 (default: the acquisition's own, else 2)",
      voxelAxis,
    )
    .option('--volume <n>', 'of NIfTI files with several volumes: which one, from 0', wholeNumber)
    .option('--window <c,w>', "gray window, centre and width in the file's units (DICOM, NIfTI)", grayWindow)
    .addOption(
      new Option(
        '--export <format>',
        'also write heatmaps as DICOM Secondary Capture, or score maps as NIfTI in the grid of their volume',
      ).choices(['dicom', 'nifti']),
    )
    .option('--quiet', 'no progress')
    .action(async (images: string[], flags: DetectFlags) => {
      const files = await listImages(images);
      const { failed } = await detectFiles(files, flags);
      if (failed > 0) process.exitCode = 1;
    });
}

export interface DetectHooks {
  /** Called for each image that could be read, in order. */
  readonly onDetection?: (file: string, detection: Detection) => void;
  /** An open session with the flags' weights, which stays open; without it one is opened for the run. */
  readonly session?: Session;
}

/**
 * Runs detection over files as the flags say.
 * @returns how many failed, and the report's path if one was written.
 */
export async function detectFiles(
  files: readonly string[],
  flags: DetectFlags,
  { onDetection, session: given }: DetectHooks = {},
): Promise<{ failed: number; report?: string }> {
  const quiet = flags.quiet === true;
  const { weights } = flags;
  if (weights === undefined) {
    throw new OptionError(
      'No --weights were given.',
      'phantom-clip ships with mla-lp; `mla-lp weights pull` fetches the real ones (see `mla-lp weights list`).',
    );
  }
  if ((flags.method === 'mla-lp' || flags.method === 'april-gan') && flags.checkpoint === undefined) {
    const what = flags.method === 'mla-lp' ? 'trained adapters' : 'trained linear layers';
    throw new OptionError(
      `Method ${flags.method} needs --checkpoint: ${what}.`,
      'Methods clip and winclip need no training.',
    );
  }
  if ((flags.method === 'clip' || flags.method === 'winclip') && flags.checkpoint !== undefined)
    throw new OptionError(
      `Method ${flags.method} takes no --checkpoint: nothing is trained.`,
      'Leave one of them out.',
    );
  if (flags.checkpoint !== undefined && !flags.checkpoint.startsWith('synthetic:')) {
    await (await fileBytes(flags.checkpoint)).close();
  }
  const normals = await bankFiles(flags);
  if (flags.object !== undefined && flags.prompts !== undefined)
    throw new OptionError('--object and --prompts exclude each other.', 'Give one of them.');
  const prompts = await choosePrompts(flags, weights);
  const out = flags.out ?? (flags.json ? undefined : DEFAULT_OUT);
  const pictures = await openPictures(files, flags);
  const volumeMaps = flags.export === 'nifti' ? new VolumeMaps(pictures) : undefined;
  if (flags.export && out === undefined) {
    throw new OptionError('--export needs a folder to write to.', 'Give --out.');
  }
  warn(pictures, quiet);
  // Where results go is proved before the long part begins.
  if (out !== undefined) await ensureWritableFolder(out);
  const maps = flags.maps === undefined ? undefined : await MapWriter.open(flags.maps);
  let finish: (() => Promise<string | undefined>) | undefined;
  let finished: Promise<string | undefined> | undefined;
  let session: Session | undefined;
  let fewShot: FewShotResults | undefined;
  const interrupt = listenForInterrupt(
    () => {
      if (!quiet) console.error('\nStopping after this batch; once more to stop at once.');
    },
    // While the model loads there is nothing to keep.
    () => (finish ? GRACE_MS : 0),
    async () => {
      await (finish?.() ?? maps?.abandon());
    },
  );
  try {
    const opened = given ?? (await openSession({ ...flags, weights, quiet }));
    if (!given) session = opened;
    const {
      weights: _weights,
      prompts: _prompts,
      method,
      bank,
      bankImages: _images,
      bankMemory,
      ...rest
    } = flags;
    const building = progressBar({ label: 'memory bank', total: 0, unit: 'images', quiet });
    const model = await loadModel(opened.clip, {
      ...rest,
      ...(method && { method }),
      ...(bank !== undefined && { bank }),
      ...(normals && {
        bank: {
          images: normals,
          augment: flags.bankVersions !== 'one',
          onProgress: (done: number, total: number) => building.update(done, total),
          signal: interrupt.signal,
        },
      }),
      ...(bankMemory && { bankMemory: bankMemory * 1e6 }),
      ...prompts.options,
    });
    if (normals) building.finish();
    const bankTold = model instanceof MlaLp ? model.bankDescription : undefined;
    const usesSentences = !(model instanceof MlaLp && model.hasPrompts);
    if (!usesSentences && (flags.prompts ?? flags.object) !== undefined)
      console.error('The checkpoint has learned prompts: --prompts and --object are not used.');
    if (!quiet && bankTold) console.error(bankTold);
    if (!quiet && model.method === 'clip' && flags.method === undefined) {
      console.error('No --checkpoint: the training-free baseline (--method clip) is used.');
    }
    const writer =
      out === undefined
        ? undefined
        : new ResultWriter({ ...flags, out, dicom: flags.export === 'dicom' }, pictures);
    const { calibration } = model;
    if (!quiet && calibration) {
      console.error(
        calibration.protocol === 'few-shot' && !model.hasMemory
          ? "The model's threshold is for scores with a memory bank: give --bank or --bank-images to have it applied."
          : `Threshold: ${describeCalibration(calibration)}.`,
      );
    }
    fewShot = model.hasMemory ? new FewShotResults(calibration) : undefined;
    const finishOnce = async () => {
      if (fewShot) await finishFewShot(fewShot, flags.json === true, writer, volumeMaps);
      await maps?.finish();
      await volumeMaps?.finish();
      return writer?.finish({
        title: 'Abnormality detection',
        adapter: opened.gpu.name,
        weights: shortPath(weights),
        method: describeMethod(model, flags, usesSentences ? prompts.file : undefined),
        version,
        details: {
          'Image size': `${model.imageSize} px`,
          Precision: flags.precision,
          ...(bankTold && {
            'Few-shot': bankTold,
            Scores: calibration?.scaling
              ? 'half zero-shot, half few-shot, each scaled as when the threshold was chosen'
              : 'half zero-shot, half few-shot, each scaled to 0..1 over the images of this run',
          }),
          ...(normals && !bankTold && { 'Few-shot': `compared with ${normals.length} normal images` }),
          ...(calibration && { Threshold: describeCalibration(calibration) }),
          'Colour range': flags.range === 'full' ? 'the same for all images' : "each image's own",
        },
      });
    };
    // Few-shot, it draws every heatmap: an interruption waits for what has begun.
    finish = () => {
      finished ??= finishOnce();
      return finished;
    };
    const bar = progressBar({ label: 'detect', total: pictures.length, unit: 'images', quiet });
    let failed = 0;
    try {
      const inputs = pictures.map(({ input }) => input);
      for await (const outcome of model.detectEach(inputs, interrupt.signal)) {
        const picture = pictures[outcome.index]!;
        const { file, slice } = picture;
        if ('error' in outcome) {
          failed++;
          writer?.addFailure(picture, outcome.error.message);
          await volumeMaps?.done(picture);
          console.error(`mla-lp: ${outcome.error.message}`);
        } else {
          const { score, levels, map, size, memory } = outcome.detection;
          const key = slice === undefined ? file : `${file}#${slice}`;
          await maps?.add(key, map, size);
          if (memory) await maps?.add(`${key}#memory`, memory.map, size);
          if (fewShot) await fewShot.add(picture, outcome.detection);
          else {
            const judgement = calibration && judge(outcome.detection, calibration);
            if (flags.json) printLine(picture, { score, levels, ...labelOf(judgement) });
            await writer?.add(picture, outcome.image, outcome.detection, levels.length, judgement);
            if (writer) await volumeMaps?.add(picture, writer.nameOf(picture), outcome.detection);
          }
          onDetection?.(file, outcome.detection);
        }
        bar.update(outcome.index + 1);
      }
    } catch (error) {
      bar.finish();
      // What was found before the interruption is kept.
      if (error instanceof AbortedError)
        console.error(`Stopped. So far: ${(await finish?.()) ?? 'as printed'}`);
      throw error;
    }
    bar.finish();
    const report = await finish?.();
    if (report && !quiet) console.error(`Report: ${report}`);
    await model.destroy();
    return { failed, ...(report && { report }) };
  } catch (error) {
    await maps?.abandon();
    throw error;
  } finally {
    interrupt.release();
    await fewShot?.close();
    await session?.close();
  }
}

/** Normal images of `--bank-images`. @throws OptionError, before anything is loaded. */
async function bankFiles(flags: DetectFlags): Promise<string[] | undefined> {
  const { bank, bankImages, bankVersions, bankMemory, method } = flags;
  if (bankVersions !== undefined && bankImages === undefined)
    throw new OptionError('--bank-versions is of --bank-images, and none are given.', 'Leave it out.');
  const ownPlace = method === 'winclip' || method === 'april-gan';
  if (bankMemory !== undefined && (ownPlace || (bank === undefined && bankImages === undefined)))
    throw new OptionError(
      '--bank-memory is for the memory bank of mla-lp or mvfa, and there is none.',
      'Leave it out, or give --bank or --bank-images.',
    );
  if (bank === undefined && bankImages === undefined) return undefined;
  const option = bank === undefined ? '--bank-images' : '--bank';
  if (bank !== undefined && bankImages !== undefined)
    throw new OptionError('--bank and --bank-images are both given.', 'Use one memory bank.');
  if (method === 'clip' || (bank !== undefined && method !== undefined && method !== 'mla-lp'))
    throw new OptionError(`Method ${method} takes no ${option}.`, 'Use another method, or leave it out.');
  if (bank !== undefined) await (await fileBytes(bank)).close();
  return bankImages === undefined ? undefined : listImages([bankImages]);
}

/** Prints and draws what could not be before the last image was seen. */
async function finishFewShot(
  results: FewShotResults,
  json: boolean,
  writer: ResultWriter | undefined,
  volumeMaps: VolumeMaps | undefined,
): Promise<void> {
  for await (const { picture, score, levels, memory, fused, map, size, judgement } of results) {
    if (json) printLine(picture, { score, levels, memory, ...(fused && { fused }), ...labelOf(judgement) });
    if (!writer) continue;
    const image = await readInput(picture.input, 0);
    const shown = { score: fused?.score ?? score, levels, map, size };
    await writer.add(picture, image, shown, fused ? 1 : levels.length, judgement);
    await volumeMaps?.add(picture, writer.nameOf(picture), shown);
  }
}

function labelOf(judgement: Judgement | undefined): { label?: Judgement['label'] } {
  return judgement ? { label: judgement.label } : {};
}

/** One object a line, for `--json`. */
function printLine({ file, slice }: Picture, result: object): void {
  console.log(JSON.stringify({ file, ...(slice !== undefined && { slice }), ...result }));
}

/** What volumes are odd about, once each. */
function warn(pictures: readonly Picture[], quiet: boolean): void {
  if (quiet) return;
  const told = new Set<string>();
  for (const { volume } of pictures) {
    for (const warning of volume?.volume.warnings ?? []) told.add(`${volume!.name}: ${warning}.`);
  }
  for (const line of told) console.error(line);
}

function describeMethod({ method, preset }: DetectionModel, flags: DetectFlags, prompts?: string): string {
  const parts: string[] = [method, `preset ${preset}`];
  if (flags.checkpoint) parts.push(`checkpoint ${shortPath(flags.checkpoint)}`);
  if (prompts) parts.push(`prompts ${shortPath(prompts)}`);
  return parts.join(', ');
}

/** The file's name: folders may tell whose images these are. */
function shortPath(path: string): string {
  return path.startsWith('synthetic:') ? path : basename(path);
}
