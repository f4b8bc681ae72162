import { MlaLpError } from '../../src/runtime/errors';

/** A kernel that did not come back: the device computes on, so nothing else can be run on it. */
export class TimeLimitError extends MlaLpError {
  constructor(what: string, ms: number) {
    super(
      'gpu-error',
      `${what} did not finish within ${ms / 1000} s, and the device may compute on for ever.`,
      'Look for a loop that does not end, or allow more time.',
    );
  }
}

/** Settles like `work`, or rejects with TimeLimitError; what the device does is not stopped. */
export async function withinLimit<T>(what: string, ms: number, work: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new TimeLimitError(what, ms)), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
    // Its own end, if it has one, interests nobody any more.
    work.catch(() => {});
  }
}
