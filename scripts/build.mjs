// Builds dist/: one ES module graph for Node, Deno and browsers (thin entries, shared chunks), and the command line.
import { existsSync, rmSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { build } from 'esbuild';

const external = [
  'webgpu',
  'sharp',
  'commander',
  'node:*',
  '@sparticuz/chromium',
  'onnxruntime-node',
  '@cornerstonejs/*',
];
/** Bundled packages name Node's own modules without "node:"; with it they stay imports. Browser entries reach none of them. */
const builtins = {
  name: 'builtins',
  setup({ onResolve }) {
    onResolve({ filter: /^[a-z_]+$/ }, ({ path }) =>
      builtinModules.includes(path) ? { path: `node:${path}`, external: true } : null,
    );
  },
};
const common = {
  bundle: true,
  format: 'esm',
  target: 'es2022',
  loader: { '.wgsl': 'text', '.gz': 'binary' },
  external,
  plugins: [builtins],
  logLevel: 'warning',
  outdir: 'dist',
  splitting: true,
  sourcemap: 'linked',
  minifySyntax: true,
};

rmSync('dist', { recursive: true, force: true });
const entries = {
  node: 'src/library/node.ts',
  deno: 'src/library/deno.ts',
  browser: 'src/library/browser.ts',
  kernels: 'src/kernels/index.ts',
  runtime: 'src/runtime/index.ts',
  cli: 'src/cli/main.ts',
  bench: 'bench/main.ts',
};
await build({
  ...common,
  entryPoints: Object.fromEntries(Object.entries(entries).filter(([, file]) => existsSync(file))),
  chunkNames: 'chunks/[name]-[hash]',
});
// The kernel laboratory's page: a file of its own, so that no chunk of the package is made for it. No package stays outside, so
// that an import of Node's fails here.
await build({
  ...common,
  entryPoints: { laboratory: 'bench/laboratory/web/main.ts' },
  outdir: 'dist/bench',
  platform: 'browser',
  external: [],
  plugins: [],
  splitting: false,
});
