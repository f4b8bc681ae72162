import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findWeights, KNOWN_WEIGHTS, parseManifest, type WeightsEntry } from '../../src/io/manifest';
import { type PullOptions, pulledPath, pullWeights, weightsCache } from '../../src/io/node/pull';
import { AbortedError, BadFileError, MlaLpError, NetworkError, OptionError } from '../../src/runtime/errors';

const content = Buffer.from(Uint8Array.from({ length: 300_000 }, (_, i) => (i * 7 + (i >> 8)) & 255));
const entry: WeightsEntry = {
  name: 'test',
  file: 'test.pt',
  sha256: createHash('sha256').update(content).digest('hex'),
  licence: 'MIT',
  source: 'a test',
};

interface Host {
  /** What the host has now. */
  content: Buffer;
  etag: string;
  ranges: boolean;
  /** Bytes after which each connection is cut, in order; then none is. */
  cuts: number[];
  /** Statuses to answer with first. */
  statuses: number[];
  /** Ranges that were asked for. */
  asked: (string | undefined)[];
}

let host: Host;
let server: Server;
let mirror: string;
let folder: string;

function answer(request: IncomingMessage, response: ServerResponse): void {
  host.asked.push(request.headers.range);
  const status = host.statuses.shift();
  if (status !== undefined) return void response.writeHead(status).end('sorry');
  if (request.url !== '/weights/test.pt') return void response.writeHead(404).end();
  const condition = request.headers['if-range'];
  const wanted = /^bytes=(\d+)-$/.exec(request.headers.range ?? '');
  const from = host.ranges && wanted && (!condition || condition === host.etag) ? Number(wanted[1]) : 0;
  const { length } = host.content;
  if (from >= length) return void response.writeHead(416, { 'content-range': `bytes */${length}` }).end();
  const body = host.content.subarray(from);
  const headers = { etag: host.etag, 'content-length': body.length };
  if (from > 0)
    response.writeHead(206, { ...headers, 'content-range': `bytes ${from}-${length - 1}/${length}` });
  else response.writeHead(200, headers);
  const cut = host.cuts.shift();
  if (cut === undefined) return void response.end(body);
  response.write(body.subarray(0, cut), () => setTimeout(() => response.destroy(), 20));
}

beforeEach(async () => {
  host = { content, etag: '"one"', ranges: true, cuts: [], statuses: [], asked: [] };
  server = createServer(answer);
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  mirror = `http://127.0.0.1:${(server.address() as AddressInfo).port}/weights/`;
  folder = mkdtempSync(join(tmpdir(), 'pull-'));
});

afterEach(() => {
  server.closeAllConnections();
  server.close();
  rmSync(folder, { recursive: true });
});

const pull = (options: PullOptions = {}, what = entry) =>
  pullWeights(what, { mirror, to: folder, backoff: 1, ...options });

/** The file is there, whole, and nothing beside it. */
function expectWhole(path: string): void {
  expect(readFileSync(path).equals(content)).toBe(true);
  expect(readdirSync(folder)).toEqual(['test.pt']);
}

describe('pulling', () => {
  it('fetches, verifies, reports progress, and does not fetch again', async () => {
    const seen: { done: number; total: number }[] = [];
    const path = await pull({ onProgress: (progress) => seen.push(progress) });
    expectWhole(path);
    expect(path).toBe(join(folder, 'test.pt'));
    expect(seen.at(-1)).toEqual({ done: content.length, total: content.length });
    expect(await pull()).toBe(path);
    expect(host.asked).toEqual([undefined]);
    expect(await pulledPath(entry, folder)).toBe(path);
  });

  it("takes the entry's own URL, or MLA_LP_MIRROR", async () => {
    const url = `${mirror}test.pt`;
    expectWhole(await pullWeights({ ...entry, url }, { to: folder }));
    rmSync(join(folder, 'test.pt'));
    process.env.MLA_LP_MIRROR = mirror;
    try {
      expectWhole(await pullWeights({ ...entry, url: 'http://127.0.0.1:1/x' }, { to: folder }));
    } finally {
      delete process.env.MLA_LP_MIRROR;
    }
  });

  it('makes the folder', async () => {
    expect(existsSync(await pull({ to: join(folder, 'a', 'b') }))).toBe(true);
  });

  it('replaces a damaged copy', async () => {
    writeFileSync(join(folder, 'test.pt'), 'damaged');
    expectWhole(await pull());
  });
});

describe('cut connections', () => {
  it('resume where they were cut', async () => {
    host.cuts = [100_000, 50_000];
    expectWhole(await pull());
    expect(host.asked[0]).toBeUndefined();
    expect(host.asked).toHaveLength(3);
    const starts = host.asked.slice(1).map((range) => Number(/\d+/.exec(range!)![0]));
    expect(starts[0]).toBeGreaterThan(0);
    expect(starts[1]).toBeGreaterThan(starts[0]!);
  });

  it('start over on a host without ranges', async () => {
    host.ranges = false;
    host.cuts = [100_000];
    expectWhole(await pull());
    expect(host.asked).toHaveLength(2);
  });

  it('start over when the host has another version', async () => {
    host.content = Buffer.alloc(300_000, 7);
    host.etag = '"old"';
    host.cuts = [100_000];
    host.statuses = [];
    const old = pull({ backoff: 200 });
    await new Promise((done) => setTimeout(done, 120));
    host.content = content;
    host.etag = '"new"';
    expectWhole(await old);
    expect(host.asked[1]).toMatch(/^bytes=/);
  });

  it('start over when the kept part turns out to be wrong', async () => {
    writeFileSync(join(folder, 'test.pt.part'), Buffer.alloc(1000, 7));
    writeFileSync(
      join(folder, 'test.pt.part.json'),
      JSON.stringify({ url: `${mirror}test.pt`, etag: '"one"' }),
    );
    expectWhole(await pull());
    expect(host.asked).toEqual(['bytes=1000-', undefined]);
  });

  it('ignore a part of unknown origin', async () => {
    writeFileSync(join(folder, 'test.pt.part'), content.subarray(0, 1000));
    expectWhole(await pull());
    expect(host.asked).toEqual([undefined]);
  });

  it('finish a part that was whole already', async () => {
    writeFileSync(join(folder, 'test.pt.part'), content);
    writeFileSync(
      join(folder, 'test.pt.part.json'),
      JSON.stringify({ url: `${mirror}test.pt`, etag: '"one"' }),
    );
    expectWhole(await pull());
    expect(host.asked).toEqual([`bytes=${content.length}-`]);
  });

  it('drop a part that is longer than the file', async () => {
    writeFileSync(join(folder, 'test.pt.part'), Buffer.concat([content, content]));
    writeFileSync(
      join(folder, 'test.pt.part.json'),
      JSON.stringify({ url: `${mirror}test.pt`, etag: '"one"' }),
    );
    expectWhole(await pull());
  });

  it('give up after five that brought nothing, and keep the part', async () => {
    host.cuts = [100_000, 0, 0, 0, 0, 0, 0];
    await expect(pull()).rejects.toThrow(/cut.*5 times in a row.*kept/);
    expect(existsSync(join(folder, 'test.pt'))).toBe(false);
    host.cuts = [];
    expectWhole(await pull());
    expect(host.asked.at(-1)).toMatch(/^bytes=/);
  });

  it('count a silent host as cut', async () => {
    server.removeAllListeners('request');
    let calls = 0;
    server.on('request', (request, response) => {
      if (++calls > 1) return answer(request, response);
      response.writeHead(200, { 'content-length': content.length, etag: host.etag });
      response.write(content.subarray(0, 1000));
    });
    expectWhole(await pull({ stall: 150 }));
    expect(calls).toBe(2);
  });
});

describe('refusals', () => {
  it('a wrong hash: nothing is left behind', async () => {
    host.content = Buffer.from(content);
    host.content[5]! ^= 1;
    const error = await pull().catch((e: unknown) => e);
    expect(error).toBeInstanceOf(NetworkError);
    expect((error as Error).message).toMatch(/SHA-256 is not .*removed.*--mirror/);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('404, at once', async () => {
    await expect(pull({ mirror: `${mirror}nowhere` })).rejects.toThrow(/answers 404/);
    expect(host.asked).toHaveLength(1);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('503, after trying again', async () => {
    host.statuses = [503, 503];
    expectWhole(await pull());
    host.statuses = Array<number>(9).fill(503);
    rmSync(join(folder, 'test.pt'));
    await expect(pull()).rejects.toThrow(/answers 503.*5 times/);
  });

  it('a size that cannot be right, before it is fetched', async () => {
    await expect(pull({}, { ...entry, bytes: 5 })).rejects.toThrow(/300000 bytes instead of 5/);
  });

  it('a page in place of the file', async () => {
    server.removeAllListeners('request');
    server.on('request', (_, response) =>
      response.writeHead(200, { 'content-type': 'text/html' }).end('<html>'),
    );
    await expect(pull()).rejects.toThrow(/sends a page/);
  });

  it('a host that does not exist', async () => {
    await expect(pull({ mirror: 'http://no-such-host.invalid' })).rejects.toThrow(NetworkError);
  });

  it('a folder that cannot be made', async () => {
    writeFileSync(join(folder, 'file'), '');
    const error = await pull({ to: join(folder, 'file', 'below') }).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(MlaLpError);
    expect((error as Error).message).toMatch(/cannot be written \(ENOTDIR\)/);
  });

  it('a mirror that is no URL, and weights that ship', async () => {
    await expect(pull({ mirror: 'somewhere' })).rejects.toThrow(OptionError);
    await expect(pullWeights(findWeights('phantom-clip'), { to: folder })).rejects.toThrow(/ships/);
  });
});

describe('stopping', () => {
  it('keeps the part and resumes', async () => {
    const interrupt = new AbortController();
    server.removeAllListeners('request');
    server.once('request', (_, response) => {
      response.writeHead(200, { 'content-length': content.length, etag: host.etag });
      response.write(content.subarray(0, 100_000)); // and then silence
    });
    const stopped = pull({ signal: interrupt.signal, onProgress: () => interrupt.abort() });
    await expect(stopped).rejects.toThrow(AbortedError);
    expect(readdirSync(folder).sort()).toEqual(['test.pt.part', 'test.pt.part.json']);
    server.on('request', answer);
    expectWhole(await pull());
    expect(host.asked[0]).toMatch(/^bytes=[1-9]/);
  });

  it('stops while it waits for another try', async () => {
    host.statuses = [503];
    const interrupt = new AbortController();
    setTimeout(() => interrupt.abort(), 100);
    await expect(pull({ signal: interrupt.signal, backoff: 60_000 })).rejects.toThrow(AbortedError);
  });
});

describe('the manifest', () => {
  it("knows OpenAI's checkpoints by their hashes", () => {
    const openai = KNOWN_WEIGHTS.filter(({ url }) => url);
    expect(openai.map(({ name }) => name)).toEqual(['ViT-L-14-336px', 'ViT-L-14', 'ViT-B-16', 'ViT-B-32']);
    for (const { url, sha256, file } of openai) expect(url!.endsWith(`/${sha256}/${file}`)).toBe(true);
    expect(findWeights('vit-l/14@336px').file).toBe('ViT-L-14-336px.pt');
    expect(() => findWeights('ViT-G')).toThrow(OptionError);
  });

  it('describes the weights that ship', () => {
    const { file, bytes, sha256 } = findWeights('phantom-clip');
    const shipped = readFileSync(new URL(`../../weights/${file}`, import.meta.url));
    expect(shipped.length).toBe(bytes);
    expect(createHash('sha256').update(shipped).digest('hex')).toBe(sha256);
    const card = readFileSync(new URL('../../weights/phantom-clip.md', import.meta.url), 'utf8');
    expect(card).toContain(sha256);
  });

  it.each<[string, unknown]>([
    ['no object', []],
    ['another version', { version: 2, weights: [] }],
    ['no name', { version: 1, weights: [{ ...entry, name: '' }] }],
    ['a path', { version: 1, weights: [{ ...entry, file: '../x' }] }],
    ['a url that is none', { version: 1, weights: [{ ...entry, url: 'file:///x' }] }],
    ['a hash that is none', { version: 1, weights: [{ ...entry, sha256: 'abc' }] }],
    ['an impossible size', { version: 1, weights: [{ ...entry, bytes: -1 }] }],
    ['two of a name', { version: 1, weights: [entry, entry] }],
  ])('%s is refused', (_, json) => {
    expect(() => parseManifest(json, 'manifest.json')).toThrow(BadFileError);
  });

  it('caches where the user says', () => {
    expect(weightsCache({ MLA_LP_CACHE: '/somewhere' })).toBe('/somewhere');
    expect(weightsCache({})).toMatch(/mla-lp.weights$/);
  });
});
