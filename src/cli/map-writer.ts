/** `--maps`: one safetensors file with a map per image. Maps are spooled to disk, so any number of images fits in memory. */
import { randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, open, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { writeError, writeFileAtomic } from '../io/node/write-file';
import { safetensorsHeader } from '../io/write-safetensors';
import type { TensorInfo } from '../model/tensor-source';
import { OptionError } from '../runtime/errors';

export class MapWriter {
  readonly #infos: TensorInfo[] = [];

  private constructor(
    private readonly path: string,
    private readonly spool: string,
    private readonly file: FileHandle,
  ) {}

  /** Proves that `path` can be written, before long work begins. @throws MlaLpError */
  static async open(path: string): Promise<MapWriter> {
    const there = await stat(path).catch(() => undefined);
    // The file is renamed into place at the end: onto a folder that fails, a device or pipe it would replace.
    if (/[\\/]$/.test(path) || (there && !there.isFile())) {
      throw new OptionError(`${path}: maps cannot be written there.`, 'Give --maps the name of a file.');
    }
    const spool = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}.tmp`);
    const file = await open(spool, 'wx', 0o600).catch((cause: unknown) => {
      throw writeError(path, cause);
    });
    return new MapWriter(path, spool, file);
  }

  /** @param map f32 [size, size]: the sum over stages of P(abnormal). */
  async add(name: string, map: Float32Array<ArrayBuffer>, size: number): Promise<void> {
    // writeFile appends at the handle's position and loops over short writes.
    await this.file
      .writeFile(new Uint8Array(map.buffer, map.byteOffset, map.byteLength))
      .catch((cause: unknown) => {
        throw writeError(this.path, cause);
      });
    this.#infos.push({ name, dtype: 'F32', shape: [size, size] });
  }

  /** Writes the file and removes the spool. */
  async finish(): Promise<void> {
    await this.file.close();
    const { spool } = this;
    const header = safetensorsHeader(this.#infos);
    async function* chunks(): AsyncGenerator<Uint8Array> {
      yield header;
      yield* createReadStream(spool, { highWaterMark: 1 << 20 });
    }
    await writeFileAtomic(this.path, chunks());
    await rm(spool, { force: true });
  }

  /** Leaves nothing behind. */
  async abandon(): Promise<void> {
    await this.file.close().catch(() => {});
    await rm(this.spool, { force: true });
  }
}
