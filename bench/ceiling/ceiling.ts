/** Measures what the device can do at most, in the units that every other row is judged by. */
import { gemmOp } from '../../src/kernels/gemm/gemm';
import { anySuite } from '../../src/kernels/suite';
import { MlaLpError } from '../../src/runtime/errors';
import { Executable } from '../../src/runtime/executable';
import { Graph, type Tensor } from '../../src/runtime/graph';
import { type PlannedDispatch, plan } from '../../src/runtime/plan';
import { storeOf, wallOf } from '../graph-timer';
import { Checker } from '../kernels/check';
import { benchSuite, prepare } from '../kernels/kernels';
import { type Ceilings, type Row, rowOf } from '../record';
import type { Session } from '../session';
import { median } from '../stats';
import { copyOp, copySuite } from './copy';
import { fmaSuite } from './fma';
import { matrixSuite } from './matrix';

/**
 * Chooses the clock, then measures. `full` adds dispatch cost and compile time and is for `bench ceiling`.
 * @throws MlaLpError when a ceiling kernel computes wrongly: then nothing else can be believed.
 */
export async function measureCeilings(session: Session, full: boolean): Promise<Ceilings> {
  await session.measureEmptyRun();
  const { caps } = session.gpu;
  const checker = new Checker(session, 'all');
  const fma = anySuite(fmaSuite(caps.software, caps.f16));
  const copy = anySuite(copySuite(caps.software));
  await chooseClock(session, fma, checker);

  const rows: Row[] = [];
  let f32Gflops = 0;
  let f16Gflops = 0;
  let matrixGflops = 0;
  let copyGbps = 0;
  const matrix = anySuite(matrixSuite(caps));
  for (const suite of [fma, copy, ...(matrix.cases.length > 0 ? [matrix] : [])]) {
    for (const { what, ms } of (await benchSuite(session, suite, suite.cases, 'all', checker)).rows) {
      const fastest = Math.min(...ms) * 1e6;
      // f16 operands convert to f32 for the check, so that the case's own name tells its type.
      const dtype = what.case.startsWith('f16') ? 'f16' : 'f32';
      rows.push(rowOf({ ...what, suite: 'ceiling', case: `${what.suite} ${what.case}`, dtype }, ms));
      if (suite === matrix) matrixGflops = Math.max(matrixGflops, what.floor.flops / fastest);
      else if (suite === copy) copyGbps = Math.max(copyGbps, what.floor.bytes / fastest);
      else if (dtype === 'f16') f16Gflops = Math.max(f16Gflops, what.floor.flops / fastest);
      else f32Gflops = Math.max(f32Gflops, what.floor.flops / fastest);
    }
  }
  // An experimental feature: without it the rest can be measured all the same.
  const isMatrix = ({ suite }: { readonly suite: string }) => suite === matrix.op.name;
  session.skipped.push(...session.failed.filter(isMatrix));
  session.failed.splice(0, Infinity, ...session.failed.filter((one) => !isMatrix(one)));
  const [wrong] = session.failed;
  if (wrong || f32Gflops === 0 || copyGbps === 0) {
    const detail = wrong ? `${wrong.case}: ${wrong.reason}` : 'a ceiling kernel did not run';
    throw new MlaLpError('gpu-error', `This device cannot be measured: ${detail}.`, 'Update its driver.');
  }
  session.rows.push(...rows);
  return {
    f32Gflops,
    ...(f16Gflops > 0 && { f16Gflops }),
    ...(matrixGflops > 0 && { matrixGflops }),
    copyGbps,
    emptyRunMs: session.emptyRunMs,
    ...(full && { dispatchUs: await dispatchMicroseconds(session), ...(await compileTimes(session)) }),
  };
}

/** Timestamps of a long kernel must lie near, and not beyond, the wall clock's time; some drivers time only the recording. */
export function plausible(timestampMs: number, wallMs: number): boolean {
  return timestampMs > 0.3 * wallMs && timestampMs < 1.3 * wallMs;
}

async function chooseClock(session: Session, fma: ReturnType<typeof anySuite>, checker: Checker) {
  if (session.options.timestamps === false || !session.gpu.device.features.has('timestamp-query')) return;
  const ready = await prepare(session, fma, fma.cases[0]!, fma.op.variants[0]!.name, checker);
  if (!ready) return;
  const stamps: number[] = [];
  const walls: number[] = [];
  for (let i = 0; i < 5; i++) {
    stamps.push(await ready.timer.sample('timestamp'));
    walls.push(await ready.timer.sample('wall'));
  }
  ready.destroy();
  if (plausible(median(stamps), median(walls))) session.clock = 'timestamp';
}

const CHAIN = 1000;

/** Time of one more dispatch in a pass: a chain of copies of 16 bytes, less an empty run. */
async function dispatchMicroseconds(session: Session): Promise<number> {
  const g = new Graph();
  const x = g.weight('x0', 'f32', [4]);
  let y: Tensor = x;
  for (let i = 0; i < CHAIN; i++) y = g.apply(copyOp, [y], null)[0]!;
  g.output('y', y);
  const store = await storeOf(session.gpu, [{ type: x.type, values: new Float32Array(4) }]);
  const executable = await Executable.compile(session.gpu, plan(g, session.gpu.caps), store);
  const ms: number[] = [];
  for (let i = 0; i < 10; i++) ms.push((await wallOf(executable)) - session.emptyRunMs);
  executable.destroy();
  store.destroy();
  return Math.max(0, (1e3 * median(ms.slice(2))) / CHAIN);
}

const AT_ONCE = 8;

/** Time to compile a GEMM pipeline that no cache holds: alone, and as a share of several compiled at once. */
async function compileTimes(session: Session): Promise<{ compileMs: number; compileParallelMs: number }> {
  const { gpu } = session;
  // Sizes are constants of the kernel, so that random ones make a new text.
  const fresh = (): PlannedDispatch => {
    const g = new Graph();
    const size = () => 64 + Math.floor(Math.random() * 8192);
    const x = g.input('x', 'f32', [size(), 64]);
    const w = g.input('w', 'f32', [size(), 64]);
    g.output('y', g.apply(gemmOp, [x, w], { bias: false, residual: false, weight: 'nk' })[0]!);
    return plan(g, { ...gpu.caps, maxBindingBytes: Number.MAX_SAFE_INTEGER }).steps[0]!.dispatches[0]!;
  };
  const compile = ({ dispatch, wgsl, layout }: PlannedDispatch) =>
    gpu.pipeline(dispatch.kernel.name, wgsl, layout);
  const alone: number[] = [];
  for (let i = 0; i < 3; i++) {
    const one = fresh();
    const start = performance.now();
    await compile(one);
    alone.push(performance.now() - start);
  }
  const several = Array.from({ length: AT_ONCE }, fresh);
  const start = performance.now();
  await Promise.all(several.map(compile));
  return { compileMs: median(alone), compileParallelMs: (performance.now() - start) / AT_ONCE };
}
