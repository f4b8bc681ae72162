/** Serves this example, dist/ and weights/ to this machine only. Usage: node examples/web/serve.mjs [PORT] */
import { serveLoopback } from '../../scripts/serve-loopback.mjs';

serveLoopback(
  ['examples/web', 'dist', 'weights'],
  'examples/web/index.html',
  Number(process.argv[2] ?? 8080),
);
