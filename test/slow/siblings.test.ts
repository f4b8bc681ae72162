/** Variants that are others with other constants, on the small cases that `npm test` does not try them on. */
import { openTestGpu } from '../helpers/gpu';
import { checkSuites } from '../kernels/check-suites';
import { FLOPS_IN_TESTS } from '../kernels/run-case';

const gpu = await openTestGpu();

checkSuites(gpu, (flops) => flops <= FLOPS_IN_TESTS, 'rest');
