/** The kernel cases that are too large for the everyday tests. */
import { openTestGpu } from '../helpers/gpu';
import { checkSuites } from '../kernels/check-suites';
import { FLOPS_IN_TESTS } from '../kernels/run-case';

checkSuites(await openTestGpu(), (flops) => flops > FLOPS_IN_TESTS);
