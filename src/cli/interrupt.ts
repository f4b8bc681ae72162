/** Ctrl-C and SIGTERM for long commands: stop in order the first time, at once the second. */
export interface Interruption {
  readonly signal: AbortSignal;
  /** Gives the signals back. */
  release(): void;
}

/**
 * @param announce says on screen what stopping means. @param graceMs how long the work under way may take after the first
 * signal, as it is then. @param giveUp called when it took longer, and waited for, before the process exits.
 */
export function listenForInterrupt(
  announce: () => void,
  graceMs: number | (() => number),
  giveUp: () => void | Promise<void> = () => {},
): Interruption {
  const controller = new AbortController();
  let deadline: NodeJS.Timeout | undefined;
  const exit = () => process.exit();
  const stop = (signal: NodeJS.Signals) => {
    process.exitCode = signal === 'SIGTERM' ? 143 : 130;
    controller.abort();
    announce();
    const grace = typeof graceMs === 'number' ? graceMs : graceMs();
    deadline = setTimeout(() => {
      // What cannot be kept now is lost either way.
      Promise.resolve()
        .then(giveUp)
        .catch(() => {})
        .finally(exit);
    }, grace).unref();
    process.once('SIGINT', exit).once('SIGTERM', exit);
  };
  process.once('SIGINT', stop).once('SIGTERM', stop);
  return {
    signal: controller.signal,
    release() {
      clearTimeout(deadline);
      for (const listener of [stop, exit])
        process.removeListener('SIGINT', listener).removeListener('SIGTERM', listener);
    },
  };
}
