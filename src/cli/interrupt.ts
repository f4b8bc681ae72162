/** Ctrl-C and SIGTERM for long commands: stop in order the first time, at once the second. */
export interface Interruption {
  readonly signal: AbortSignal;
  /** Gives the signals back. */
  release(): void;
}

/**
 * @param announce says on screen what stopping means. @param graceMs how long the work under way may take after the first
 * signal. @param giveUp called when it took longer, before the process exits.
 */
export function listenForInterrupt(
  announce: () => void,
  graceMs: number,
  giveUp: () => void = () => {},
): Interruption {
  const controller = new AbortController();
  const stop = (signal: NodeJS.Signals) => {
    process.exitCode = signal === 'SIGTERM' ? 143 : 130;
    controller.abort();
    announce();
    setTimeout(() => {
      giveUp();
      process.exit();
    }, graceMs).unref();
    process.once('SIGINT', () => process.exit()).once('SIGTERM', () => process.exit());
  };
  process.once('SIGINT', stop).once('SIGTERM', stop);
  return {
    signal: controller.signal,
    release: () => process.removeListener('SIGINT', stop).removeListener('SIGTERM', stop),
  };
}
