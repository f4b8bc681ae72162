/**
 * Scores images with the small weights that ship. After `npm run build`:
 *   node examples/node/detect.mjs IMAGE...
 * In a project of yours: npm install mla-lp, and copy this file.
 */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { loadClip, MlaLp, openDevice, parsePrompts } from 'mla-lp';

const files = process.argv.slice(2);
if (files.length === 0) {
  console.error('Usage: node detect.mjs IMAGE...');
  process.exit(2);
}

const shipped = (name) =>
  fileURLToPath(new URL(`weights/${name}`, import.meta.resolve('mla-lp/package.json')));
const prompts = parsePrompts(await readFile(shipped('phantom-clip.prompts.json'), 'utf8'), 'the prompts');

const gpu = await openDevice();
console.error(`${gpu.name}: ${gpu.choice.reason}`);
const clip = await loadClip(gpu, shipped('phantom-clip.safetensors'));
const model = await MlaLp.load(clip, { prompts, imageSize: 112 });

for await (const outcome of model.detectEach(files)) {
  const file = files[outcome.index];
  if ('error' in outcome) {
    console.error(outcome.error.message);
    process.exitCode = 1;
    continue;
  }
  const { score, map, size } = outcome.detection;
  const peak = map.reduce((best, value, i) => (value > map[best] ? i : best), 0);
  const [x, y] = [peak % size, Math.floor(peak / size)].map((at) => Math.round((100 * at) / (size - 1)));
  console.log(`${score.toFixed(4)}  ${file}  highest at ${x} % across, ${y} % down: ${map[peak].toFixed(2)}`);
}

await model.destroy();
await clip.close();
gpu.destroy();
process.exit(); // Dawn's threads would keep the process alive.
