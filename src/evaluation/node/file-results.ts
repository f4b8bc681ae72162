/**
 * Raw results on disk, one pair of files a shard: `<name>.jsonl`, a header and then one line an image, and `<name>.maps`, one slot
 * of a fixed size an image. A killed run goes on where it stopped: a line is written after its slot, and holds the slot's checksum.
 */
import { type FileHandle, open, readdir, readFile, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, join } from 'node:path';
import { acquireLock, type Lock } from '../../io/node/lock';
import { writeAll, writeError, writeFileAtomic } from '../../io/node/write-file';
import { crc32 } from '../../runtime/crc32';
import { BadFileError, OptionError } from '../../runtime/errors';
import { headerDifference, joinVersions } from '../merge';
import { isFailure, type RawHeader, type RawMaps, type RawOutcome, type RawResults } from '../raw-results';
import type { ResultSink } from '../result-sink';

const FORMAT = 'mla-lp raw results 1';
const ENDING = '.jsonl';

interface FileHeader {
  readonly format: typeof FORMAT;
  readonly header: RawHeader;
  readonly versions: Readonly<Record<string, string>>;
  readonly commands: readonly string[];
}

type Line = RawOutcome & { readonly slot?: number; readonly crc32?: number };

export interface FileResultsOptions {
  readonly header: RawHeader;
  readonly versions: Readonly<Record<string, string>>;
  readonly command: string;
}

export class FileResults implements RawResults, ResultSink {
  readonly #lines = new Map<number, Line>();
  #slots = 0;

  private constructor(
    /** Path without ending. */
    private readonly path: string,
    private readonly file: FileHeader,
    private readonly log: FileHandle | undefined,
    private readonly data: FileHandle,
    private logSize: number,
    private readonly lock: Lock | undefined,
  ) {}

  /** What messages call it. */
  get label(): string {
    return basename(this.path);
  }

  get header(): RawHeader {
    return this.file.header;
  }

  get versions(): Readonly<Record<string, string>> {
    return this.file.versions;
  }

  get commands(): readonly string[] {
    return this.file.commands;
  }

  get outcomes(): readonly RawOutcome[] {
    return [...this.#lines.values()].sort((a, b) => a.index - b.index);
  }

  /**
   * Opens for writing: the results that an earlier run with the same header left are kept; its failures are tried again.
   * @param path without ending, in a folder that exists. @throws OptionError where files of another evaluation lie, or another process
   * of this machine writes them.
   */
  static async write(path: string, options: FileResultsOptions): Promise<FileResults> {
    // By machine: a shard that was killed is begun again on another node, which cannot tell whether the first one still runs.
    const lock = await acquireLock(`${path}.${encodeURIComponent(hostname())}`);
    try {
      return await FileResults.#write(path, options, lock);
    } catch (error) {
      await lock.release();
      throw error;
    }
  }

  static async #write(
    path: string,
    { header, versions, command }: FileResultsOptions,
    lock: Lock,
  ): Promise<FileResults> {
    const earlier = await readLines(path);
    if (earlier) {
      const difference = headerDifference(earlier.file.header, header);
      if (difference !== undefined) {
        throw new OptionError(
          `${path}${ENDING} holds an unfinished evaluation of another kind: ${difference}.`,
          'Finish it with the options it was begun with, remove it, or choose another --out.',
        );
      }
    }
    const commands = [...new Set([...(earlier?.file.commands ?? []), command])];
    const joined = joinVersions([...(earlier ? [earlier.file.versions] : []), versions]);
    const file: FileHeader = { format: FORMAT, header, versions: joined, commands };
    const kept = earlier?.lines.filter((line) => !isFailure(line)) ?? [];
    const text = [file, ...kept].map((line) => `${JSON.stringify(line)}\n`).join('');
    const bytes = new TextEncoder().encode(text);
    await writeFileAtomic(path + ENDING, [bytes]);
    const log = await open(path + ENDING, 'r+').catch(rethrow(path + ENDING));
    try {
      // Opened for reading and writing, made where it is missing, only its owner's.
      const data = await open(`${path}.maps`, kept.length > 0 ? 'r+' : 'w+', 0o600).catch(
        rethrow(`${path}.maps`),
      );
      const results = new FileResults(path, file, log, data, bytes.length, lock);
      results.#take(kept);
      return results;
    } catch (error) {
      await log.close();
      throw error;
    }
  }

  /** Opens for reading. @throws BadFileError */
  static async read(path: string): Promise<FileResults> {
    const found = await readLines(path);
    if (!found)
      throw new BadFileError(path + ENDING, 'there are no results in it', 'Run `mla-lp eval` first.');
    const data = await open(`${path}.maps`, 'r').catch(rethrow(`${path}.maps`));
    const results = new FileResults(path, found.file, undefined, data, 0, undefined);
    results.#take(found.lines);
    return results;
  }

  #take(lines: readonly Line[]): void {
    for (const line of lines) {
      this.#lines.set(line.index, line);
      if (line.slot !== undefined) this.#slots = Math.max(this.#slots, line.slot + 1);
    }
  }

  has(index: number): boolean {
    return this.#lines.has(index);
  }

  async append(outcome: RawOutcome, maps?: RawMaps): Promise<void> {
    let line: Line = outcome;
    try {
      if (!isFailure(outcome) && maps) {
        const bytes = this.#pack(maps);
        await writeAll(this.data, bytes, this.#slots * bytes.length);
        line = { ...outcome, slot: this.#slots, crc32: crc32(bytes) };
        this.#slots++;
      }
      const text = new TextEncoder().encode(`${JSON.stringify(line)}\n`);
      await writeAll(this.log!, text, this.logSize);
      this.logSize += text.length;
    } catch (cause) {
      throw writeError(this.path, cause);
    }
    this.#lines.set(outcome.index, line);
  }

  async maps(index: number): Promise<RawMaps> {
    const line = this.#lines.get(index)!;
    const bytes = new Uint8Array(this.#layout().bytes);
    const { bytesRead } = await this.data.read(bytes, 0, bytes.length, line.slot! * bytes.length);
    if (bytesRead !== bytes.length || crc32(bytes) !== line.crc32) {
      throw new BadFileError(
        `${this.path}.maps`,
        `the maps of image ${index} are damaged`,
        'Remove this shard’s files and run its command again.',
      );
    }
    return this.#unpack(bytes, !isFailure(line) && line.hasMask);
  }

  async close(): Promise<void> {
    await this.log?.close();
    await this.data.close();
    await this.lock?.release();
  }

  /** Closes and removes the files. */
  async remove(): Promise<void> {
    await this.log?.close();
    await this.data.close();
    for (const ending of [ENDING, '.maps']) await rm(this.path + ending, { force: true });
    await this.lock?.release();
  }

  /** Map, second map where two are mixed, mask as bits where there are masks. */
  #layout(): { pixels: number; maps: number; bytes: number } {
    const { size, fused, hasMasks } = this.header;
    const pixels = size * size;
    const maps = fused ? 2 : 1;
    return { pixels, maps, bytes: 4 * pixels * maps + (hasMasks ? Math.ceil(pixels / 8) : 0) };
  }

  #pack({ zeroShot, fewShot, mask }: RawMaps): Uint8Array {
    const { pixels, maps, bytes } = this.#layout();
    const out = new Uint8Array(bytes);
    const values = new Float32Array(out.buffer, 0, pixels * maps);
    values.set(zeroShot, 0);
    if (maps === 2) values.set(fewShot!, pixels);
    if (mask) {
      const bits = out.subarray(4 * pixels * maps);
      for (let i = 0; i < pixels; i++) if (mask[i]) bits[i >> 3]! |= 1 << (i & 7);
    }
    return out;
  }

  #unpack(bytes: Uint8Array<ArrayBuffer>, hasMask: boolean): RawMaps {
    const { pixels, maps } = this.#layout();
    const zeroShot = new Float32Array(bytes.buffer, 0, pixels);
    const bits = bytes.subarray(4 * pixels * maps);
    return {
      zeroShot,
      ...(maps === 2 && { fewShot: new Float32Array(bytes.buffer, 4 * pixels, pixels) }),
      ...(hasMask && { mask: Uint8Array.from({ length: pixels }, (_, i) => (bits[i >> 3]! >> (i & 7)) & 1) }),
    };
  }
}

function rethrow(path: string): (cause: unknown) => never {
  return (cause) => {
    throw writeError(path, cause);
  };
}

/** Whole lines; a torn last one is dropped. Undefined where there is no file. @throws BadFileError */
async function readLines(path: string): Promise<{ file: FileHeader; lines: Line[] } | undefined> {
  const name = path + ENDING;
  const refuse = (what: string) =>
    new BadFileError(name, what, 'Remove the file and run the command that made it again.');
  const text = await readFile(name, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT') return undefined;
    throw new BadFileError(name, `it cannot be read (${cause.code})`, 'Check its permissions.');
  });
  if (text === undefined) return undefined;
  const whole = text.slice(0, text.lastIndexOf('\n') + 1).split('\n');
  whole.pop();
  const parsed = whole.map((line, i) => {
    try {
      return JSON.parse(line) as unknown;
    } catch {
      throw refuse(`line ${i + 1} is not JSON`);
    }
  });
  const [file, ...lines] = parsed as [FileHeader | undefined, ...Line[]];
  if (file?.format !== FORMAT || typeof file.header?.n !== 'number') throw refuse('these are no raw results');
  for (const [i, line] of lines.entries()) {
    if (!isLine(line, file.header)) throw refuse(`line ${i + 2} is no result`);
  }
  return { file, lines };
}

/** Whether it holds what the metrics will ask it for. */
function isLine(line: unknown, { n, fused }: RawHeader): boolean {
  if (typeof line !== 'object' || line === null) return false;
  const { index, name, error, slot, zeroShot, zeroShotRange, fewShot, fewShotRange } = line as Record<
    string,
    unknown
  >;
  if (!isPlace(index) || index >= n || typeof name !== 'string') return false;
  if (error !== undefined) return typeof error === 'string' && slot === undefined;
  const whole = isPlace(slot) && Number.isFinite(zeroShot) && isRange(zeroShotRange);
  return whole && (!fused || (Number.isFinite(fewShot) && isRange(fewShotRange)));
}

function isPlace(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isRange(value: unknown): boolean {
  return Array.isArray(value) && value.length === 2 && value.every(Number.isFinite);
}

/** Paths, without ending, of all raw results in a folder. @throws OptionError where there are none. */
export async function listResults(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch((cause: NodeJS.ErrnoException) => {
    throw new OptionError(`${folder}: it cannot be read (${cause.code}).`, 'Check the path.');
  });
  const found: string[] = [];
  for (const name of names.sort()) {
    if (name.startsWith(RAW) && name.endsWith(ENDING))
      found.push(join(folder, name.slice(0, -ENDING.length)));
  }
  if (found.length > 0) return found;
  throw new OptionError(
    `${folder}: there are no raw results in it.`,
    'Give a folder that `mla-lp eval --shard` wrote.',
  );
}

const RAW = 'raw-';

/** Path, without ending, of a shard's raw results. @param label where one folder holds several evaluations: which. */
export function resultsPath(folder: string, shard: number, shards: number, label = ''): string {
  return join(folder, `${RAW}${label ? `${label}-` : ''}${shard}-of-${shards}`);
}
