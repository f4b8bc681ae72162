/**
 * Times weights on their way from a file to the device, beside reading the file and writing as much to the device alone. Cold: off the
 * disk, where the system can be told to forget the file; else it is in memory already.
 */
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
import type { Precision } from '../../src/runtime/device';
import { encodeF16 } from '../../src/runtime/float16';
import type { Graph } from '../../src/runtime/graph';
import { BYTES, sizeOf } from '../../src/runtime/tensor-type';
import { interleave } from '../measure';
import { rowOf } from '../record';
import type { Session } from '../session';
import { type ImageChoice, imageGraph, imageSources } from './image';
import { forget, staysInMemory } from './page-cache';

const SUITE = 'load';
const COLD_READ = 'plain read, cold';
const COLD_LOAD = 'load, cold';

/** Elements that the loader reads at once, 16 MB of f32. */
const CHUNK = 4 * 1024 * 1024;

export interface LoadChoice extends Omit<ImageChoice, 'batch'> {
  /** Type in the file; the model's own without it. */
  readonly stored?: Precision;
}

export async function benchLoad(session: Session, choice: LoadChoice): Promise<void> {
  const { gpu } = session;
  const { model, imageSize, precision: dtype, stored = dtype } = choice;
  gpu.requirePrecision(dtype);
  const scratch = await mkdtemp(join(tmpdir(), 'mla-lp-bench-'));
  const bar = session.progress(`load ${model} ${dtype}`, 6);
  const name = `${model}, ${imageSize} px, file in ${stored}`;
  try {
    const graph = imageGraph({ ...choice, batch: 1 });
    const path = join(scratch, `weights-${stored}.safetensors`);
    const bytes = await writeModel(path, graph, model, stored);
    bar.step();
    const read = () => readAll(path);
    const all = () => load(session, graph, path);
    const contenders: Contenders = { 'plain read': read, write: () => write(session, graph), load: all };
    const reason = await staysInMemory(scratch);
    if (reason) {
      for (const variant of [COLD_READ, COLD_LOAD])
        session.skipped.push({ suite: SUITE, case: name, variant, reason });
    } else Object.assign(contenders, { [COLD_READ]: read, [COLD_LOAD]: all });
    const times = await interleave(
      Object.entries(contenders).map(([variant, work]) => ({
        async sample() {
          if (variant === COLD_READ || variant === COLD_LOAD) await forget(path);
          const start = performance.now();
          await work();
          return performance.now() - start;
        },
      })),
      { budgetMs: session.budgetMs, onDone: bar.step },
    );
    const kept = [...graph.weights.values()].reduce(
      (sum, { type }) => sum + sizeOf(type) * BYTES[type.dtype],
      0,
    );
    for (const [i, variant] of Object.keys(contenders).entries()) {
      const floor = { flops: 0, bytes: variant === 'write' ? kept : bytes };
      session.rows.push(rowOf({ suite: SUITE, case: name, variant, dtype, floor }, times[i]!));
    }
  } finally {
    bar.finish();
    await rm(scratch, { recursive: true, force: true });
  }
}

type Contenders = Record<string, () => Promise<void>>;

/** One file with what the graph reads. @returns its bytes. */
async function writeModel(
  path: string,
  { weights }: Graph,
  model: string,
  stored: Precision,
): Promise<number> {
  const sources = imageSources(model);
  const parts = [...weights.keys()].flatMap(partsOf);
  const names = [...new Set(parts.map((part) => derivation(part).from))];
  const found = names.map((name) => sources.find(({ tensors }) => tensors.has(name))!);
  const infos = names.map(
    (name, i): TensorInfo => ({
      ...found[i]!.tensors.get(name)!,
      name,
      dtype: stored === 'f16' ? 'F16' : 'F32',
    }),
  );
  const file = await open(path, 'w');
  try {
    const header = safetensorsHeader(infos);
    await writeAll(file, header);
    let written = header.length;
    for (const [i, name] of names.entries()) {
      const values = await found[i]!.read(name);
      const data = stored === 'f16' ? encodeF16(values) : values;
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
    const buffer = new Uint8Array(4 * CHUNK);
    while ((await file.read(buffer)).bytesRead > 0);
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

/** As many bytes as the model keeps, from memory to the device: what allocating and copying cost alone. */
async function write({ gpu }: Session, { weights }: Graph): Promise<void> {
  const store = new BufferStore(gpu);
  const values = { f32: new Float32Array(CHUNK), f16: new Uint16Array(CHUNK), u32: new Float32Array(CHUNK) };
  try {
    await store.createAll([...weights].map(([name, { type }]) => [name, type]));
    for (const [name, { type }] of weights) {
      const size = sizeOf(type);
      for (let start = 0; start < size; start += CHUNK)
        await store.write(name, values[type.dtype].subarray(0, size - start), start);
    }
    await store.flush();
  } finally {
    store.destroy();
  }
}
