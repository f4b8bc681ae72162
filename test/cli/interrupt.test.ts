/** Ctrl-C: in order the first time, at once the second, and after the grace when the work takes too long. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type Interruption, listenForInterrupt } from '../../src/cli/interrupt';

let interrupt: Interruption | undefined;
let exit: { mock: { calls: unknown[][] } };
const before = process.exitCode;

beforeEach(() => {
  exit = vi.spyOn(process, 'exit').mockImplementation((() => {}) as never);
});
afterEach(() => {
  interrupt?.release();
  vi.restoreAllMocks();
  process.exitCode = before;
});

test('the first signal aborts and says so, the second exits', () => {
  const said: string[] = [];
  const listeners = process.listenerCount('SIGINT');
  interrupt = listenForInterrupt(() => said.push('stopping'), 60_000);
  process.emit('SIGINT', 'SIGINT');
  expect(interrupt.signal.aborted).toBe(true);
  expect([said, process.exitCode, exit.mock.calls.length]).toEqual([['stopping'], 130, 0]);
  process.emit('SIGINT', 'SIGINT');
  expect(exit.mock.calls).toHaveLength(1);
  interrupt.release();
  expect(process.listenerCount('SIGINT')).toBe(listeners);
});

test('when the grace is over, what can still be kept is waited for', async () => {
  let keep = () => {};
  const kept = new Promise<void>((done) => {
    keep = done;
  });
  const asked = vi.fn(() => kept);
  interrupt = listenForInterrupt(
    () => {},
    () => 0,
    asked,
  );
  process.emit('SIGTERM', 'SIGTERM');
  await vi.waitFor(() => expect(asked).toHaveBeenCalledOnce());
  await new Promise((done) => setTimeout(done, 5));
  expect(exit.mock.calls).toHaveLength(0);
  keep();
  await vi.waitFor(() => expect(exit.mock.calls).toHaveLength(1));
  expect(process.exitCode).toBe(143);
});
