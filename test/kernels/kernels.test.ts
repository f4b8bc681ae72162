/** Every op, case and variant against its float64 reference, on the adapter at hand. */
import { describe } from 'vitest';
import { openTestGpu } from '../helpers/gpu';
import { checkFolding, checkSuites } from './check-suites';
import { FLOPS_IN_TESTS } from './run-case';

const gpu = await openTestGpu();

checkSuites(gpu, (flops) => flops <= FLOPS_IN_TESTS);

describe('grids folded over two axes', () => checkFolding(gpu));
