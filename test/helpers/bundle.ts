import { build } from 'esbuild';

/** Bundles a test module as scripts/build.mjs bundles the library; for browsers and Deno. Returns JavaScript. */
export async function bundle(entry: string): Promise<string> {
  const result = await build({
    entryPoints: [entry],
    bundle: true,
    write: false,
    format: 'esm',
    target: 'es2022',
    platform: 'browser',
    loader: { '.wgsl': 'text', '.gz': 'binary' },
    logLevel: 'error',
  });
  return result.outputFiles[0]!.text;
}
