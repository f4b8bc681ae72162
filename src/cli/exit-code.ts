import type { MlaLpError } from '../runtime/errors';

/** What the process exits with: 2 for a wrong command line, 130 (as after Ctrl-C) for an interrupted run, else 1. */
export function exitCode({ code }: MlaLpError): number {
  if (code === 'bad-option') return 2;
  return code === 'aborted' ? 130 : 1;
}
