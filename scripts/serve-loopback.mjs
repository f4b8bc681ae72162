/** A server of a few folders of this repository for pages on this machine: loopback only, a strict policy, no way out of the folders. */
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const TYPES = {
  '.css': 'text/css',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.json': 'application/json',
};

const HEADERS = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; img-src 'self' blob:; " +
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " +
    "require-trusted-types-for 'script'; trusted-types 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-embedder-policy': 'require-corp',
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-cache',
};

/**
 * Prints its address when it listens.
 * @param {readonly string[]} folders within the repository
 * @param {string} start page that / leads to
 * @param {number} port 0: any that is free
 */
export function serveLoopback(folders, start, port) {
  const served = folders.map((folder) => join(ROOT, folder) + sep);
  const server = createServer(async (request, response) => {
    try {
      const own = server.address().port;
      // Other names that lead here belong to somebody else's page.
      if (![`localhost:${own}`, `127.0.0.1:${own}`].includes(request.headers.host)) {
        return response.writeHead(403, HEADERS).end();
      }
      const { pathname } = new URL(request.url, 'http://localhost');
      if (pathname === '/') return response.writeHead(302, { ...HEADERS, location: `/${start}` }).end();
      const file = join(ROOT, decodeURIComponent(pathname));
      if (!served.some((folder) => file.startsWith(folder)) || !(await stat(file)).isFile())
        throw new Error('not here');
      const type = TYPES[extname(file)] ?? 'application/octet-stream';
      response.writeHead(200, { ...HEADERS, 'content-type': type });
      createReadStream(file)
        .on('error', () => response.destroy())
        .pipe(response);
    } catch {
      response.writeHead(404, HEADERS).end();
    }
  });
  if (!Number.isInteger(port) || port < 0 || port > 65535) {
    console.error('A port is a number from 0 (any that is free) to 65535.');
    process.exit(2);
  }
  server.on('error', ({ code, message }) => {
    console.error(
      code === 'EADDRINUSE' ? `Port ${port} is in use: give another one, 0 for any that is free.` : message,
    );
    process.exit(1);
  });
  server.listen(port, '127.0.0.1', () => {
    console.log(`http://localhost:${server.address().port}/`);
  });
}
