import { expect, test } from 'vitest';
import { exitCode } from '../../src/cli/exit-code';
import { AbortedError, BadFileError, OptionError } from '../../src/runtime/errors';

test('wrong options, interruptions and other failures have their own exit codes', () => {
  expect(exitCode(new OptionError('x'))).toBe(2);
  expect(exitCode(new AbortedError())).toBe(130);
  expect(exitCode(new BadFileError('x', 'y'))).toBe(1);
});
