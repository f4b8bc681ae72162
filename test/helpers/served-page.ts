import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, beforeAll } from 'vitest';
import { type BrowserPage, openBrowserPage } from './browser';

export interface ServedPage {
  /** Where the script's server listens, as it prints it. */
  readonly address: string;
  readonly opened: BrowserPage | { readonly skip: string };
}

/**
 * A script of the repository that serves a page under its own policy, and a browser for it: for the tests of one file.
 * @returns gives both, once tests run.
 */
export function servedPage(script: string): () => ServedPage {
  let server: ChildProcess;
  let served: ServedPage;
  beforeAll(async () => {
    server = spawn(process.execPath, [script, '0'], { stdio: ['ignore', 'pipe', 'inherit'] });
    const [line] = (await once(server.stdout!, 'data')) as [Buffer];
    served = { address: line.toString().trim(), opened: await openBrowserPage() };
  });
  afterAll(async () => {
    if ('close' in served.opened) await served.opened.close();
    server.kill();
  });
  return () => served;
}

/** Addresses that the page asks other servers for, as they come. */
export function requestsElsewhere({ page }: BrowserPage, address: string): readonly string[] {
  const elsewhere: string[] = [];
  page.on('request', (request) => {
    if (!request.url().startsWith(address) && !request.url().startsWith('blob:'))
      elsewhere.push(request.url());
  });
  return elsewhere;
}
