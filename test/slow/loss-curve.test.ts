/** The whole loss curves; test/training/parity.test.ts has their first steps. */
import { test } from 'vitest';
import { openTestGpu } from '../helpers/gpu';
import { followsReference } from '../training/loss-curve';

const gpu = await openTestGpu();

test.each(['authors', 'paper'] as const)('preset %s: 20 steps of Adam follow the reference', (preset) =>
  followsReference(gpu, preset, 20),
);
