import { readFileSync } from 'node:fs';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

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

/** A long file that begins last keeps one worker busy while the other waits: these begin first. */
const LONGEST = [
  'kernels/kernels',
  'cli/train',
  'training/trainer',
  'cli/eval',
  'library/train',
  'cli/reproduce',
  'cli/keep-going',
  'platform/kernels-elsewhere',
  'training/parity',
  'cli/device-loss',
].map((name) => `test/${name}.test.ts`);

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) => {
      const at = LONGEST.findIndex((path) => moduleId.replaceAll('\\', '/').endsWith(path));
      return at < 0 ? LONGEST.length : at;
    };
    return (await super.sort(files)).sort((a, b) => rank(a) - rank(b));
  }
}

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
    sequence: { sequencer: LongestFirst },
    testTimeout: full ? 1_800_000 : 300_000,
    hookTimeout: full ? 1_800_000 : 300_000,
  },
});
