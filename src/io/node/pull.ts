/** Downloads known weights into the cache: resumes what was cut off, and lets nothing through whose hash is wrong. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, mkdir, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AbortedError, MlaLpError, NetworkError, OptionError } from '../../runtime/errors';
import type { WeightsEntry } from '../manifest';
import { userCache } from './user-cache';

export interface PullOptions {
  /** Base URL to which the file's name is appended; MLA_LP_MIRROR unless told, else the entry's own URL. */
  readonly mirror?: string | undefined;
  /** Folder; the cache unless told. */
  readonly to?: string | undefined;
  /** `total` is 0 while it is not known. */
  readonly onProgress?: (progress: { done: number; total: number }) => void;
  readonly signal?: AbortSignal | undefined;
  /** First wait before another try, ms; it doubles each time. */
  readonly backoff?: number;
  /** A connection that sends nothing for so long counts as cut, ms. */
  readonly stall?: number;
}

/** Tries in a row that brought nothing. */
const MAX_TRIES = 5;
/** For a host that does not say how much it sends. */
const MAX_BYTES = 16 * 2 ** 30;

/** The folder of pulled weights: MLA_LP_CACHE, else `mla-lp/weights` in the user's cache folder. Not created here. */
export function weightsCache(env: NodeJS.ProcessEnv = process.env): string {
  if (env.MLA_LP_CACHE) return env.MLA_LP_CACHE;
  return join(userCache(env), 'weights');
}

/** Where pulled weights lie, if they were pulled. */
export async function pulledPath(entry: WeightsEntry, folder = weightsCache()): Promise<string | undefined> {
  const path = join(folder, entry.file);
  return (await sizeOf(path)) === undefined ? undefined : path;
}

/**
 * Downloads the weights unless a copy with the right hash is there, and gives their path. What an earlier call left
 * unfinished is resumed; the file appears under its name only when it is whole, verified and on disk.
 * @throws NetworkError (host, connection, wrong content), OptionError (no URL), AbortedError (the part is kept),
 * MlaLpError `bad-file` (disk).
 */
export async function pullWeights(entry: WeightsEntry, options: PullOptions = {}): Promise<string> {
  const url = addressOf(entry, options.mirror ?? process.env.MLA_LP_MIRROR);
  const folder = options.to ?? weightsCache();
  const path = join(folder, entry.file);
  try {
    await mkdir(folder, { recursive: true });
    if ((await sizeOf(path)) !== undefined && (await isRight(path, entry))) return path;
    const part = new Part(`${path}.part`, url);
    const resumed = await part.resume();
    await download(entry, part, options);
    if (!(await isRight(part.path, entry))) {
      await part.remove();
      // The rest may have come from another version than the part: once more from the start.
      if (resumed) return await pullWeights(entry, options);
      throw new NetworkError(
        `${url}: the file is not the expected one (its SHA-256 is not ${entry.sha256}); it was removed.`,
        'Try again; if it stays so, choose another mirror (--mirror URL).',
      );
    }
    await part.finish(path);
    return path;
  } catch (cause) {
    if (options.signal?.aborted)
      throw new AbortedError(`The download of ${entry.name} was stopped; it resumes next time.`);
    const code = (cause as NodeJS.ErrnoException | null)?.code;
    if (cause instanceof MlaLpError || typeof code !== 'string') throw cause;
    const remedy =
      code === 'ENOSPC' ? 'Free some space on the disk.' : 'Choose a folder that you may write to (--to).';
    throw new MlaLpError('bad-file', `${path}: it cannot be written (${code}).`, remedy, { cause });
  }
}

function addressOf(entry: WeightsEntry, mirror: string | undefined): string {
  if (!mirror) {
    if (entry.url) return entry.url;
    throw new OptionError(
      `${entry.name} is not downloaded: it ships with mla-lp.`,
      `Its file is weights/${entry.file}.`,
    );
  }
  if (!/^https?:\/\//.test(mirror) || !URL.canParse(mirror))
    throw new OptionError(
      `The mirror ${JSON.stringify(mirror)} is no http(s) URL.`,
      'Give the URL of a folder.',
    );
  return `${mirror.replace(/\/+$/, '')}/${entry.file}`;
}

async function sizeOf(path: string): Promise<number | undefined> {
  return stat(path).then(
    (found) => (found.isFile() ? found.size : undefined),
    () => undefined,
  );
}

async function isRight(path: string, entry: WeightsEntry): Promise<boolean> {
  if (entry.bytes !== undefined && (await sizeOf(path)) !== entry.bytes) return false;
  if (entry.sha256 === undefined) return true;
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 2 ** 20 })) hash.update(chunk as Buffer);
  return hash.digest('hex') === entry.sha256;
}

/** The unfinished file, and beside it what it is a part of. */
class Part {
  size = 0;
  /** The host's name for this version of the file. */
  etag: string | undefined;

  constructor(
    readonly path: string,
    readonly url: string,
  ) {}

  get #note(): string {
    return `${this.path}.json`;
  }

  /** Takes up what lies there, if it comes from the same place. @returns whether there is something. */
  async resume(): Promise<boolean> {
    try {
      const note = JSON.parse(await readFile(this.#note, 'utf8')) as { url?: unknown; etag?: unknown };
      if (note.url !== this.url) return false;
      if (typeof note.etag === 'string') this.etag = note.etag;
      this.size = (await sizeOf(this.path)) ?? 0;
    } catch {
      return false;
    }
    return this.size > 0;
  }

  /** Opens for writing behind what is there; `fresh` starts over with the version `etag`. */
  async open(fresh: boolean, etag: string | undefined): Promise<FileHandle> {
    if (fresh) {
      this.size = 0;
      this.etag = etag;
      await writeFile(this.#note, JSON.stringify({ url: this.url, etag }));
    }
    return open(this.path, fresh ? 'w' : 'r+');
  }

  async remove(): Promise<void> {
    this.size = 0;
    await rm(this.path, { force: true });
    await rm(this.#note, { force: true });
  }

  /** Makes the part the whole file, durably. */
  async finish(path: string): Promise<void> {
    await sync(this.path);
    await rename(this.path, path);
    await rm(this.#note, { force: true });
    // Windows opens no folders, and keeps them by itself.
    if (process.platform !== 'win32') await sync(dirname(path));
  }
}

async function sync(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Neither an unknown host nor a wrong certificate gets better by waiting. */
const HOPELESS = /ENOTFOUND|CERT|TLS|SELF_SIGNED|UNABLE_TO/;

/** Why a try failed; another one may help. */
class Cut extends Error {}

async function download(entry: WeightsEntry, part: Part, options: PullOptions): Promise<void> {
  const { backoff = 1000, signal } = options;
  for (let tries = 1; ; tries++) {
    const before = part.size;
    try {
      await attempt(entry, part, options);
      return;
    } catch (error) {
      if (!(error instanceof Cut)) throw error;
      if (part.size > before) tries = 0;
      if (tries >= MAX_TRIES) {
        throw new NetworkError(
          `${part.url}: ${error.message}, ${MAX_TRIES} times in a row.`,
          'Check the connection and try again: what was fetched is kept. Or choose a mirror (--mirror URL).',
          { cause: error },
        );
      }
      await sleep(backoff * 2 ** Math.max(0, tries - 1), undefined, { signal });
    }
  }
}

/** One request. @throws Cut where another try may help. */
async function attempt(entry: WeightsEntry, part: Part, options: PullOptions): Promise<void> {
  const { signal, stall = 60_000, onProgress } = options;
  const stalled = new AbortController();
  const both = signal ? AbortSignal.any([signal, stalled.signal]) : stalled.signal;
  let timer = setTimeout(() => stalled.abort(), stall);
  const lost = (cause: unknown): never => {
    if (signal?.aborted) throw cause;
    if (stalled.signal.aborted) throw new Cut(`nothing came for ${stall / 1000} s`, { cause });
    const { code } = ((cause as Error).cause ?? {}) as NodeJS.ErrnoException;
    if (code !== undefined && HOPELESS.test(code)) {
      throw new NetworkError(
        `${part.url}: the host cannot be reached (${code}).`,
        'Check the address and the connection, or choose a mirror (--mirror URL).',
        { cause },
      );
    }
    throw new Cut(`the connection was cut${code === undefined ? '' : ` (${code})`}`, { cause });
  };
  try {
    const response = await fetch(part.url, { headers: requestHeaders(part), signal: both }).catch(lost);
    const { fresh, total } = await checkResponse(response, entry, part);
    if (total === part.size && !fresh) return void (await response.body?.cancel());
    const file = await part.open(fresh, response.headers.get('etag') ?? undefined);
    try {
      const reader = response.body!.getReader();
      for (;;) {
        const { done, value } = await reader.read().catch(lost);
        if (done) break;
        clearTimeout(timer);
        timer = setTimeout(() => stalled.abort(), stall);
        await writeAll(file, value, part);
        if (part.size > (total || MAX_BYTES)) {
          await reader.cancel();
          throw new NetworkError(
            `${part.url}: the host sends more than ${total || MAX_BYTES} bytes.`,
            'Choose a mirror (--mirror URL).',
          );
        }
        onProgress?.({ done: part.size, total });
      }
    } finally {
      await file.close();
    }
    if (total > 0 && part.size < total) throw new Cut('the connection was cut');
  } finally {
    clearTimeout(timer);
    // Frees the connection where the body was not read to its end.
    stalled.abort();
  }
}

function requestHeaders(part: Part): Record<string, string> {
  // Ranges count the bytes of the file itself, not of a compressed form.
  const headers: Record<string, string> = { 'accept-encoding': 'identity' };
  if (part.size > 0) headers.range = `bytes=${part.size}-`;
  // A weak etag does not promise equal bytes: the host would have to send all again.
  if (part.size > 0 && part.etag && !part.etag.startsWith('W/')) headers['if-range'] = part.etag;
  return headers;
}

/** What the answer means: whether the body starts at byte 0, and the whole file's size (0: not said). */
async function checkResponse(
  response: Response,
  entry: WeightsEntry,
  part: Part,
): Promise<{ fresh: boolean; total: number }> {
  const { status, headers } = response;
  const [, from, size] = /^bytes (?:(\d+)-\d+|\*)\/(\d+)$/.exec(headers.get('content-range') ?? '') ?? [];
  const refuse = async (fact: string, again: boolean): Promise<never> => {
    await response.body?.cancel();
    if (again) throw new Cut(fact);
    throw new NetworkError(`${part.url}: ${fact}.`, 'Check the address, or choose a mirror (--mirror URL).');
  };
  if (status === 416) {
    if (Number(size) === part.size && part.size > 0) return { fresh: false, total: part.size };
    await part.remove();
    return refuse('the unfinished file did not fit and was removed', true);
  }
  if (status !== 200 && status !== 206)
    return refuse(
      `the host answers ${status} ${response.statusText}`.trim(),
      status === 408 || status === 429 || status >= 500,
    );
  if (headers.get('content-encoding') ?? headers.get('content-type')?.startsWith('text/html'))
    return refuse('the host sends a page or a compressed form, not the file', false);
  const fresh = status === 200;
  if (!fresh && Number(from) !== part.size) {
    await part.remove();
    return refuse('the host sends another range than was asked for', true);
  }
  const total = fresh ? Number(headers.get('content-length') ?? 0) : Number(size);
  if (entry.bytes !== undefined && total > 0 && total !== entry.bytes)
    return refuse(`the file has ${total} bytes instead of ${entry.bytes}`, false);
  return { fresh, total };
}

async function writeAll(file: FileHandle, bytes: Uint8Array, part: Part): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, part.size);
    done += bytesWritten;
    part.size += bytesWritten;
  }
}
