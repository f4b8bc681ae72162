/** Serves the laboratory's page to this machine only. Usage: npm run bench:web [-- PORT] */
import { serveLoopback } from '../../../scripts/serve-loopback.mjs';

serveLoopback(
  ['bench/laboratory/web', 'dist/bench'],
  'bench/laboratory/web/index.html',
  Number(process.argv[2] ?? 8081),
);
