/** The whole loss curve of preset authors; test/training/parity.test.ts has its first steps, and all of preset paper. */
import { test } from 'vitest';
import { openTestGpu } from '../helpers/gpu';
import { followsReference } from '../training/loss-curve';

const gpu = await openTestGpu();

test('preset authors: 20 steps of Adam follow the reference', () => followsReference(gpu, 'authors', 20));
