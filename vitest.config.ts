import { readFileSync } from 'node:fs';
import { defineConfig } from 'vitest/config';

/** Gives tests the same view of binary and WGSL imports that scripts/build.mjs gives the build. */
const embed = {
  name: 'embed',
  enforce: 'pre' as const,
  load(id: string) {
    if (id.endsWith('.wgsl')) return `export default ${JSON.stringify(readFileSync(id, 'utf8'))}`;
    if (id.endsWith('.gz')) {
      const base64 = readFileSync(id).toString('base64');
      return `export default Uint8Array.from(atob('${base64}'), (c) => c.charCodeAt(0))`;
    }
    return null;
  },
};

const full = process.env.MLA_LP_FULL === '1';
/** Minutes of computing on CPUs that `npm test` is spared; `.ci/run` runs them, too. */
const slow = process.env.MLA_LP_SLOW === '1';
const folders = full ? ['test/full/**'] : slow ? ['test/slow/**'] : ['test/**'];

export default defineConfig({
  plugins: [embed],
  test: {
    include: folders.map((folder) => `${folder}/*.test.ts`),
    exclude: full || slow ? [] : ['test/full/**', 'test/slow/**'],
    // Dawn is a native addon: processes, not threads.
    pool: 'forks',
    // Results must not depend on what was tuned on this machine.
    env: { MLA_LP_TUNED: 'off' },
    maxWorkers: 2,
    testTimeout: full ? 1_800_000 : 300_000,
    hookTimeout: full ? 1_800_000 : 300_000,
  },
});
