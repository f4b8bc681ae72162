/**
 * Times an evaluation over many image files, end to end: decoding, upload, device, results (masks, files of raw results), metrics. The
 * stages overlap; a stage's busy share is the part of the wall clock in which it works on something.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { evaluationImages } from '../../src/cli/evaluation-run';
import { openDataset } from '../../src/data/node/datasets';
import { makePhantom } from '../../src/data/phantoms';
import { finishEvaluation } from '../../src/evaluation/finish';
import { FileResults, resultsPath } from '../../src/evaluation/node/file-results';
import { type ImageInput, loadClip, MlaLp, rawHeader, scoreImages } from '../../src/library/node';
import { encodePng } from '../../src/platform/node/encode-png';
import type { Precision } from '../../src/runtime/device';
import { cpuMs } from '../measure';
import { rowOf } from '../record';
import type { Session } from '../session';

export interface FolderChoice {
  /** Name of stand-in weights. */
  readonly model: string;
  readonly imageSize: number;
  readonly batch: number;
  readonly precision: Precision;
  /** A labelled data set; drawn phantoms without it. */
  readonly data?: string;
  /** Phantoms to draw. */
  readonly images: number;
}

type Stage = 'decode' | 'upload' | 'device' | 'results';

export async function benchFolder(session: Session, choice: FolderChoice): Promise<void> {
  const { gpu } = session;
  const { model: name, imageSize, batch, precision } = choice;
  const scratch = await mkdtemp(join(tmpdir(), 'mla-lp-bench-'));
  const clip = await loadClip(gpu, `synthetic:${name}`, { precision });
  let results: FileResults | undefined;
  try {
    const folder = choice.data ?? (await drawPhantoms(join(scratch, 'Phantoms'), choice, session));
    const dataset = await openDataset(folder, { split: 'test' });
    const images = evaluationImages(dataset, folder);
    const busy = new BusyTimes();
    const model = await MlaLp.load(clip, {
      checkpoint: `synthetic:${name}`,
      imageSize,
      batch,
    });
    const observed = {
      method: model.method,
      preset: model.preset,
      imageSize,
      hasMemory: false,
      detectEach: (inputs: Iterable<ImageInput>, signal?: AbortSignal) =>
        model.detectEach(inputs, signal, (stage, from, to) => busy.add(stage, from, to)),
      destroy: () => model.destroy(),
    };
    const header = await rawHeader(model, images, { dataset: dataset.name, protocol: 'zero-shot' });
    results = await FileResults.write(resultsPath(scratch, 1, 1), { header, versions: {}, command: 'bench' });
    const sink = results;
    // The first batch compiles; it belongs to no stage.
    for await (const _ of model.detectEach(images.slice(0, batch).map(({ image }) => image)));
    busy.clear();
    const settled = gpu.allocatedBytes;
    gpu.peakBytes = settled;
    const bar = session.progress(`folder ${name}`, images.length, 'images');
    const pace = new Pace();
    const begun = performance.now();
    await scoreImages(
      observed,
      images,
      {
        header,
        has: (index) => sink.has(index),
        async append(outcome, maps) {
          const from = performance.now();
          await sink.append(outcome, maps);
          busy.add('results', from, performance.now());
          pace.look();
        },
      },
      { onProgress: (done) => done > 0 && bar.step() },
    );
    const wall = performance.now() - begun;
    bar.finish();
    await finishEvaluation(results, { resamples: 100 });
    const metrics = performance.now() - begun - wall;
    await model.destroy();
    report(session, choice, {
      ...{ images: images.length, wall, metrics, busy, pace },
      deviceGrowth: gpu.peakBytes - settled,
    });
  } finally {
    await results?.close();
    await clip.close();
    await rm(scratch, { recursive: true, force: true });
  }
}

interface Outcome {
  readonly images: number;
  readonly wall: number;
  readonly metrics: number;
  readonly busy: BusyTimes;
  readonly pace: Pace;
  /** Most bytes on the device beyond those after the first batch. */
  readonly deviceGrowth: number;
}

function report(session: Session, choice: FolderChoice, outcome: Outcome): void {
  const { model, imageSize, batch, precision: dtype } = choice;
  const { images, wall, metrics, busy, pace, deviceGrowth } = outcome;
  const name = `${model}, ${imageSize} px, batch ${batch}, ${images} images`;
  const floor = { flops: 0, bytes: 0 };
  const row = (variant: string, ms: number) =>
    session.rows.push(rowOf({ suite: 'folder', case: name, variant, dtype, floor }, [ms / images]));
  row('an image, end to end', wall);
  for (const stage of ['decode', 'upload', 'device', 'results'] as const) {
    const total = busy.total(stage);
    row(`${stage}, busy ${((100 * total) / wall).toFixed(1)} %`, total);
  }
  row('metrics afterwards', metrics);
  session.notes.push(
    `folder: ${((1000 * images) / wall).toPrecision(3)} images/s; memory grew by ${(pace.growth() / 1024).toFixed(1)} KiB an image in the second half, on the device by ${(deviceGrowth / 1024).toFixed(1)} KiB in all.`,
    ...pace.parts().map(({ images: seen, perSecond, cpuMs, bytes }) => {
      const resident = (bytes / 2 ** 20).toFixed(0);
      return `folder: after ${seen} images ${perSecond.toPrecision(3)} images/s, ${cpuMs.toPrecision(3)} ms of CPU time an image, ${resident} MiB resident.`;
    }),
  );
}

/** Time in which a stage worked on at least one batch: overlapping spans count once. */
class BusyTimes {
  readonly #spans = new Map<Stage, [number, number][]>();

  add(stage: Stage, from: number, to: number): void {
    const spans = this.#spans.get(stage) ?? [];
    spans.push([from, to]);
    this.#spans.set(stage, spans);
  }

  clear(): void {
    this.#spans.clear();
  }

  total(stage: Stage): number {
    const spans = (this.#spans.get(stage) ?? []).sort((a, b) => a[0] - b[0]);
    let total = 0;
    let until = Number.NEGATIVE_INFINITY;
    for (const [from, to] of spans) {
      total += Math.max(0, to - Math.max(from, until));
      until = Math.max(until, to);
    }
    return total;
  }
}

/** Images between two lines of the report, and most lines. */
const PART = 100;
const MOST_PARTS = 20;

/** Resident memory and pace over the images. CPU time tells of the pace where other programs take turns on the processor. */
class Pace {
  readonly #rss: number[] = [];
  readonly #times = [performance.now()];
  readonly #cpu = [cpuMs()];

  look(): void {
    this.#rss.push(process.memoryUsage.rss());
    this.#times.push(performance.now());
    this.#cpu.push(cpuMs());
  }

  /** Every hundred images, or fewer times: what is resident then, and how fast they were. */
  parts(): {
    readonly images: number;
    readonly perSecond: number;
    readonly cpuMs: number;
    readonly bytes: number;
  }[] {
    const step = PART * Math.max(1, Math.ceil(this.#rss.length / PART / MOST_PARTS));
    return Array.from({ length: Math.floor(this.#rss.length / step) }, (_, i) => {
      const images = (i + 1) * step;
      const since = (marks: readonly number[]) => marks[images]! - marks[images - step]!;
      return {
        images,
        perSecond: (1000 * step) / since(this.#times),
        cpuMs: since(this.#cpu) / step,
        bytes: this.#rss[images - 1]!,
      };
    });
  }

  /** Of the second half, least squares, bytes an image: the first half warms up. */
  growth(): number {
    const half = this.#rss.slice(this.#rss.length >> 1);
    const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
    const x = half.map((_, i) => i);
    const [mx, my] = [mean(x), mean(half)];
    const covariance = half.reduce((sum, y, i) => sum + (i - mx) * (y - my), 0);
    const variance = x.reduce((sum, v) => sum + (v - mx) ** 2, 0);
    return variance > 0 ? covariance / variance : 0;
  }
}

/** Half normal, half abnormal, with masks, as a folder of PNG files. @returns the folder. */
async function drawPhantoms(folder: string, { images }: FolderChoice, session: Session): Promise<string> {
  for (const name of ['normal', 'abnormal', 'masks']) await mkdir(join(folder, name), { recursive: true });
  const bar = session.progress('drawing phantoms', images, 'images');
  for (let i = 0; i < images; i++) {
    const abnormal = i % 2 === 1;
    const { image, mask } = makePhantom(i, { size: SIDE, abnormal });
    const name = `${String(i).padStart(6, '0')}.png`;
    await writeFile(join(folder, abnormal ? 'abnormal' : 'normal', name), await encodePng(image));
    if (abnormal) {
      const data = new Uint8Array(3 * mask.length);
      for (const [p, v] of mask.entries()) data.fill(255 * v, 3 * p, 3 * p + 3);
      await writeFile(join(folder, 'masks', name), await encodePng({ width: SIDE, height: SIDE, data }));
    }
    bar.step();
  }
  bar.finish();
  return folder;
}

/** Side of drawn phantoms, px: about that of the data sets' images. */
const SIDE = 320;
