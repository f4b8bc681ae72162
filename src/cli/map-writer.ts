/** `--maps`: one safetensors file with a map per image. Maps are spooled to disk, so any number of images fits in memory. */
import { createReadStream } from 'node:fs';
import { type FileHandle, open, rm } from 'node:fs/promises';
import { writeError, writeFileAtomic } from '../io/node/write-file';
import { safetensorsHeader } from '../io/write-safetensors';
import type { TensorInfo } from '../model/tensor-source';

export class MapWriter {
  readonly #infos: TensorInfo[] = [];

  private constructor(
    private readonly path: string,
    private readonly spool: string,
    private readonly file: FileHandle,
  ) {}

  static async open(path: string): Promise<MapWriter> {
    const spool = `${path}.spool.tmp`;
    const file = await open(spool, 'w').catch((cause: unknown) => {
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
