/**
 * Scores images with the small weights that ship. After `npm run build`:
 *   deno run --unstable-webgpu --allow-read --allow-env examples/deno/detect.ts IMAGE...
 * On Linux without a GPU, first set the variables that `mla-lp doctor` prints under "for Deno, set".
 * In a project of yours, import from "npm:mla-lp" instead.
 */
import { loadClip, MlaLp, openDevice, parsePrompts } from '../../dist/deno.js';

const files: string[] = Deno.args;
if (files.length === 0) {
  console.error('Usage: detect.ts IMAGE...');
  Deno.exit(2);
}

const shipped = (name: string) => new URL(`../../weights/${name}`, import.meta.url);
const prompts = parsePrompts(await Deno.readTextFile(shipped('phantom-clip.prompts.json')), 'the prompts');

const gpu = await openDevice();
console.error(`${gpu.name}: ${gpu.choice.reason}`);
const clip = await loadClip(gpu, decodeURIComponent(shipped('phantom-clip.safetensors').pathname));
const model = await MlaLp.load(clip, { prompts, imageSize: 112 });

for await (const outcome of model.detectEach(files)) {
  if ('error' in outcome) console.error(outcome.error.message);
  else console.log(`${outcome.detection.score.toFixed(4)}  ${files[outcome.index]}`);
}

await model.destroy();
await clip.close();
gpu.destroy();
