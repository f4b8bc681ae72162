/** Times weights on their way from a file to the device, beside a plain read of the same file: what is left is ours. */
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileBytes } from '../../src/io/node/file-bytes';
import { writeAll } from '../../src/io/node/write-file';
import { openSafetensors } from '../../src/io/safetensors';
import { safetensorsHeader } from '../../src/io/write-safetensors';
import type { TensorInfo } from '../../src/model/tensor-source';
import { loadWeights } from '../../src/model/weight-loader';
import { derivation, partsOf } from '../../src/model/weight-names';
import { BufferStore } from '../../src/runtime/buffer-store';
import { encodeF16 } from '../../src/runtime/float16';
import type { Graph } from '../../src/runtime/graph';
import { interleave } from '../measure';
import { rowOf } from '../record';
import type { Session } from '../session';
import { type ImageChoice, imageGraph, imageSources } from './image';

/** As much as the loader reads at once. */
const CHUNK = 16 * 1024 * 1024;

export async function benchLoad(session: Session, choice: Omit<ImageChoice, 'batch'>): Promise<void> {
  const { gpu } = session;
  const { model, imageSize, precision: dtype } = choice;
  gpu.requirePrecision(dtype);
  const scratch = await mkdtemp(join(tmpdir(), 'mla-lp-bench-'));
  const bar = session.progress(`load ${model} ${dtype}`, 3);
  try {
    const graph = imageGraph({ ...choice, batch: 1 });
    const path = join(scratch, `weights-${dtype}.safetensors`);
    const bytes = await writeModel(path, graph, choice);
    bar.step();
    const contenders = { 'plain read': () => readAll(path), load: () => load(session, graph, path) };
    const times = await interleave(
      Object.values(contenders).map((work) => ({
        async sample() {
          const start = performance.now();
          await work();
          return performance.now() - start;
        },
      })),
      { budgetMs: session.budgetMs, onDone: bar.step },
    );
    const name = `${model}, ${imageSize} px, file in ${dtype}`;
    for (const [i, variant] of Object.keys(contenders).entries()) {
      const floor = { flops: 0, bytes };
      session.rows.push(rowOf({ suite: 'load', case: name, variant, dtype, floor }, times[i]!));
    }
  } finally {
    bar.finish();
    await rm(scratch, { recursive: true, force: true });
  }
}

/** One file with what the graph reads. @returns its bytes. */
async function writeModel(
  path: string,
  { weights }: Graph,
  { model, precision }: Omit<ImageChoice, 'batch'>,
): Promise<number> {
  const sources = imageSources(model);
  const parts = [...weights.keys()].flatMap(partsOf);
  const names = [...new Set(parts.map((part) => derivation(part).from))];
  const found = names.map((name) => sources.find(({ tensors }) => tensors.has(name))!);
  const infos = names.map(
    (name, i): TensorInfo => ({
      ...found[i]!.tensors.get(name)!,
      name,
      dtype: precision === 'f16' ? 'F16' : 'F32',
    }),
  );
  const file = await open(path, 'w');
  try {
    const header = safetensorsHeader(infos);
    await writeAll(file, header);
    let written = header.length;
    for (const [i, name] of names.entries()) {
      const values = await found[i]!.read(name);
      const data = precision === 'f16' ? encodeF16(values) : values;
      await writeAll(file, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
      written += data.byteLength;
    }
    return written;
  } finally {
    await file.close();
  }
}

async function readAll(path: string): Promise<void> {
  const file = await open(path, 'r');
  try {
    const buffer = new Uint8Array(CHUNK);
    while ((await file.read(buffer, 0, CHUNK)).bytesRead > 0);
  } finally {
    await file.close();
  }
}

/** Ends when the device has everything. */
async function load({ gpu }: Session, graph: Graph, path: string): Promise<void> {
  const bytes = await fileBytes(path);
  const store = new BufferStore(gpu);
  try {
    await loadWeights(graph, store, [await openSafetensors(bytes)]);
    await gpu.idle();
  } finally {
    store.destroy();
    await bytes.close();
  }
}
