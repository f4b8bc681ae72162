/**
 * Trains adapters and prompts on a folder with normal/ and abnormal/ in it, saves the model, and scores the folder's own
 * images with it. After `npm run build`:
 *   node examples/node/train.mjs FOLDER MODEL.safetensors [EPOCHS]
 * In a project of yours: npm install mla-lp, and copy this file. `mla-lp train` does the same and more: masks, resuming.
 */
import { randomBytes } from 'node:crypto';
import { open, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AbortedError, createTrainer, loadClip, MlaLp, modelChunks, openDevice } from 'mla-lp';

const [folder, out, epochs = '10'] = process.argv.slice(2);
if (!folder || !out) {
  console.error('Usage: node train.mjs FOLDER MODEL.safetensors [EPOCHS]');
  process.exit(2);
}

const images = [];
for (const label of ['normal', 'abnormal']) {
  for (const name of (await readdir(join(folder, label))).sort()) {
    if (/\.(png|jpe?g|webp|tiff?|bmp)$/i.test(name))
      images.push({ image: join(folder, label, name), abnormal: label === 'abnormal' });
  }
}

const weights = new URL('weights/phantom-clip.safetensors', import.meta.resolve('mla-lp/package.json'));
const gpu = await openDevice();
console.error(`${gpu.name}: ${gpu.choice.reason}`);
const clip = await loadClip(gpu, fileURLToPath(weights));
const trainer = await createTrainer(clip, images, { imageSize: 112, epochs: Number(epochs), batch: 8 });
console.error(trainer.describe());

const abort = new AbortController();
process.once('SIGINT', () => abort.abort());
try {
  for await (const { step, loss, det } of trainer.run({ signal: abort.signal })) {
    console.error(`step ${step} of ${trainer.totalSteps}  loss ${loss.toFixed(4)}  det ${det.toFixed(4)}`);
  }
} catch (error) {
  // After Ctrl-C the steps so far make a model, too.
  if (!(error instanceof AbortedError)) throw error;
}

await save(out, modelChunks(await trainer.state('model')));
console.error(`${trainer.step} steps are in ${out}.`);
await trainer.destroy();

// The preset and the image size are in the file.
const model = await MlaLp.load(clip, { checkpoint: out });
for (const { image, abnormal } of images) {
  const [{ score }] = await model.detect([image]);
  console.log(`${score.toFixed(4)}  ${abnormal ? 'abnormal' : 'normal  '}  ${image}`);
}

await model.destroy();
await clip.close();
gpu.destroy();
process.exit(); // Dawn's threads would keep the process alive.

/** The old file or the new one, whole, whatever happens meanwhile. Only the user may read it: it comes from images. */
async function save(path, chunks) {
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}.tmp`);
  try {
    const file = await open(temporary, 'wx', 0o600);
    try {
      for (const chunk of chunks) await file.writeFile(chunk);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}
