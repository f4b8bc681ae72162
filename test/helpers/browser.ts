/** A page of a headless Chromium with WebGPU on SwiftShader, and a loopback server for it. */

import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, resolve, sep } from 'node:path';
import { chromium, type Page } from 'playwright-core';
import { type Chromium, findChromium } from './chromium';

export interface BrowserPage {
  readonly page: Page;
  /** Origin of the server, for instance http://localhost:1234. */
  readonly origin: string;
  /** Which browser runs, and why this one. */
  readonly why: string;
  /** Uncaught errors and console errors of the page so far. */
  readonly errors: string[];
  /** Calls a function that the module at `path` exports, in the page, with arguments and a result that JSON can carry. */
  call(path: string, name: string, ...args: readonly unknown[]): Promise<unknown>;
  close(): Promise<void>;
}

export interface PageOptions {
  /** What to serve: URL path (a file, or a folder ending in /) -> path in the repository, or the body itself. */
  readonly serve?: Readonly<Record<string, string | { body: string | Uint8Array; type: string }>>;
  /** Headers of every answer, a Content-Security-Policy for instance. */
  readonly headers?: Readonly<Record<string, string>>;
}

const ROOT = resolve(import.meta.dirname, '../..');
const TYPES: Record<string, string> = {
  '.css': 'text/css',
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.json': 'application/json',
  '.jpg': 'image/jpeg',
  '.png': 'image/png',
  '.webp': 'image/webp',
};

/**
 * Opens a blank page. The server gives /dist/ and whatever `serve` names. `skip` only where no browser can be had, which
 * is an error in CI; a browser that is there and does not start throws.
 */
export async function openBrowserPage(options: PageOptions = {}): Promise<BrowserPage | { skip: string }> {
  const found = await findChromium();
  if ('skip' in found) {
    if (process.env.CI) throw new Error(found.skip);
    return found;
  }
  const server = await startServer(options);
  try {
    return await open(found, server);
  } catch (error) {
    server.close();
    throw error;
  }
}

async function open(found: Chromium, server: Server): Promise<BrowserPage> {
  const browser = await chromium.launch({
    executablePath: found.path,
    headless: true,
    chromiumSandbox: false,
    args: ['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader'],
    env: { ...(process.env as Record<string, string>), ...found.env },
  });
  const page = await browser.newPage();
  const errors: string[] = [];
  page.on('pageerror', (error) => errors.push(String(error)));
  page.on('console', (message) => {
    if (message.type() === 'error') errors.push(message.text());
  });
  // localhost, not 127.0.0.1: both are secure contexts, but this one may also be in a Content-Security-Policy.
  const origin = `http://localhost:${(server.address() as AddressInfo).port}`;
  await page.goto(`${origin}/`);
  return {
    page,
    origin,
    why: `Chromium ${browser.version()}, ${found.why}`,
    errors,
    call(path, name, ...args) {
      // As text: the test runner rewrites import() in functions that it loads.
      const [from, what, given] = [path, name, args].map((value) => JSON.stringify(value));
      return page.evaluate(`import(${from}).then((module) => module[${what}](...${given}))`);
    },
    async close() {
      await browser.close();
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  };
}

function startServer({ serve = {}, headers = {} }: PageOptions): Promise<Server> {
  const served: NonNullable<PageOptions['serve']> = { '/dist/': 'dist/', ...serve };
  const server = createServer(async (request, response) => {
    try {
      const path = decodeURIComponent(new URL(request.url ?? '/', 'http://localhost').pathname);
      const answer = await find(path, served);
      response.writeHead(200, { 'content-type': answer.type, ...headers }).end(answer.body);
    } catch {
      response.writeHead(404, { 'content-type': 'text/plain' }).end('not here');
    }
  });
  return new Promise((done, fail) => {
    server.once('error', fail);
    server.listen(0, 'localhost', () => done(server));
  });
}

async function find(path: string, served: NonNullable<PageOptions['serve']>) {
  const exact = served[path];
  if (exact && typeof exact !== 'string') return exact;
  if (path === '/' && !exact) return { type: 'text/html', body: '<!doctype html><title>test</title>' };
  if (path === '/favicon.ico') return { type: 'image/x-icon', body: '' };
  const prefix = exact ? path : Object.keys(served).find((key) => key.endsWith('/') && path.startsWith(key));
  const target = prefix === undefined ? undefined : served[prefix];
  if (typeof target !== 'string') throw new Error('nothing is served there');
  const base = resolve(ROOT, target);
  const file = resolve(join(base, path.slice(prefix!.length)));
  if (file !== base && !file.startsWith(base + sep)) throw new Error('outside of what is served');
  return { type: TYPES[extname(file)] ?? 'application/octet-stream', body: await readFile(file) };
}
