/** The process of an engine: answers requests until its parent goes away. */
import { writeFile } from 'node:fs/promises';
import { cpuMs } from '../measure';
import type { Engine, EngineLoader, Prepared } from './engine';
import type { PrepareAnswer, PrepareRequest, ReleaseAnswer, Reply, Request, Timing } from './protocol';

/** Works off the messages of the parent. */
export function serve(load: EngineLoader): void {
  let engine: Engine | undefined;
  let prepared: Prepared | undefined;
  const release = async (): Promise<ReleaseAnswer> => {
    await prepared?.destroy();
    prepared = undefined;
    return { wholeCpuMs: cpuMs() };
  };
  const handlers: Record<Request['name'], (ask: never) => Promise<unknown>> = {
    async open() {
      engine = await load();
      const { version, dtypes, ways, note, adapter } = engine;
      // An adapter's own object does not go through messages.
      const { vendor, architecture, device, description } = adapter ?? {};
      return {
        version,
        dtypes,
        ...(ways && { ways }),
        ...(note && { note }),
        ...(adapter && { adapter: { vendor, architecture, device, description } }),
      };
    },
    async prepare({ task, targetMs, mostRepeats, resultPath }: PrepareRequest): Promise<PrepareAnswer> {
      await release();
      prepared = await engine!.prepare(task, 1);
      if (mostRepeats > 1) {
        await prepared.run(); // compiles
        const { ms } = await timeRun(prepared);
        const repeats = Math.min(mostRepeats, Math.ceil(targetMs / Math.max(ms, 1e-3)));
        if (repeats > prepared.repeats) {
          await release();
          prepared = await engine!.prepare(task, repeats);
          await prepared.run();
        }
      }
      // What is timed is what is checked.
      const result = await prepared.result();
      await writeFile(resultPath, new Uint8Array(result.buffer, result.byteOffset, result.byteLength));
      const { repeats, floor, placement } = prepared;
      return { repeats, ...(floor && { floor }), ...(placement && { placement }) };
    },
    sample: () => timeRun(prepared!),
    release,
  };
  process.on('message', async ({ id, name, ask }: Request) => {
    const reply: Reply = await handlers[name](ask as never).then(
      (answer) => ({ id, answer }),
      (error: unknown) => ({ id, error: error instanceof Error ? error.message : String(error) }),
    );
    process.send?.(reply);
  });
  process.on('disconnect', () => process.exit());
}

async function timeRun(prepared: Prepared): Promise<Timing> {
  const cpu = process.cpuUsage();
  const start = performance.now();
  await prepared.run();
  const ms = performance.now() - start;
  return { cpuMs: cpuMs(cpu) / prepared.repeats, ms: ms / prepared.repeats };
}
