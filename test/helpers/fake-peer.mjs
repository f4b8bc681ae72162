// Stands in for an engine's process: answers the messages of bench/peers/protocol.ts, or fails to in the way that its first argument
// names. The second argument is a file with the right result, the third a folder for what it wants to remember.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const [mode, resultFile, folder] = process.argv.slice(2);
const ADAPTER = { vendor: 'acme', architecture: 'one', device: '', description: 'Acme One' };
writeFileSync(join(folder, `${mode}.pid`), String(process.pid));

const answers = {
  open() {
    if (mode === 'dies at once') {
      console.error('a library is missing');
      process.exit(3);
    }
    const adapter = mode === 'elsewhere' ? { ...ADAPTER, description: 'Acme Two' } : ADAPTER;
    const ways = mode === 'second way' ? { ways: ['fused', 'plain'] } : {};
    return { version: '1.2.3', dtypes: mode === 'f32 only' ? ['f32'] : ['f32', 'f16'], adapter, ...ways };
  },
  prepare({ task, resultPath }) {
    if (mode === 'hangs') return undefined;
    if (mode === 'refuses') throw new Error('it knows no such operator');
    const values = Float32Array.from(new Float32Array(new Uint8Array(readFileSync(resultFile)).buffer));
    if (mode === 'wrong' || (mode === 'second way' && task.way === 0)) values[values.length - 1] += 0.01;
    if (mode === 'not a number') values[0] = Number.NaN;
    const short = mode === 'short' ? values.subarray(1) : values;
    writeFileSync(resultPath, new Uint8Array(short.buffer, short.byteOffset, short.byteLength));
    const placement =
      mode === 'placed' ? { placement: { backend: 'WebGPU', nodes: 4 + task.work.rows } } : {};
    return { repeats: 2, floor: { flops: 1e6, bytes: 1e3 }, ...placement };
  },
  sample() {
    const dead = join(folder, 'has died');
    if (mode === 'always dies') process.kill(process.pid, 'SIGKILL');
    if (mode === 'dies once' && !existsSync(dead)) {
      writeFileSync(dead, '');
      process.kill(process.pid, 'SIGKILL');
    }
    return { ms: mode === 'right' ? 1 : 2.5, cpuMs: mode === 'right' ? 2 : 3 };
  },
  release: () => ({ wholeCpuMs: 1500 }),
};

process.on('message', ({ id, name, ask }) => {
  try {
    const answer = answers[name](ask);
    if (answer) process.send({ id, answer });
  } catch (error) {
    process.send({ id, error: error.message });
  }
});
process.on('disconnect', () => process.exit());
