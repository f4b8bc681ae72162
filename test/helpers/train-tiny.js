// The built library, used as a page or a Deno script would to train: weights, images and masks by address, losses out.

/** Where the tiny golden case's files lie below `base`. Images 1 and 3 are abnormal. */
function tinyImages(files) {
  return [0, 1, 2, 3].map((i) => ({
    image: files(`image${i}.png`),
    abnormal: i % 2 === 1,
    ...(i % 2 === 1 && { mask: files(`mask${i}.png`) }),
  }));
}

/** @returns losses of a few steps, and scores before and after, by the reference's own settings. */
export async function trainTiny(library, files, preset, steps) {
  const { openDevice, loadClip, createTrainer, MlaLp } = await import(library);
  const gpu = await openDevice();
  const clip = await loadClip(gpu, files('clip.safetensors'));
  const images = tinyImages(files);
  const scores = async (checkpoint) => {
    const model = await MlaLp.load(clip, { checkpoint, preset, imageSize: 100, batch: 2 });
    const results = await model.detect(images.map(({ image }) => image));
    await model.destroy();
    return results.map(({ score }) => score);
  };
  const trainer = await createTrainer(clip, images, {
    preset,
    imageSize: 100,
    batch: 4,
    steps,
    augment: false,
    shuffle: false,
    init: files('init.safetensors'),
  });
  const losses = [];
  for await (const { loss } of trainer.run()) losses.push(loss);
  const answer = {
    adapter: gpu.name,
    losses,
    before: await scores(files('init.safetensors')),
    after: await scores(await trainer.checkpoint()),
  };
  await trainer.destroy();
  await clip.close();
  gpu.destroy();
  return answer;
}

/** In a page: files fetched as Blobs. */
export async function trainInPage(preset, steps) {
  const names = ['clip.safetensors', 'init.safetensors', 'mask1.png', 'mask3.png'];
  for (let i = 0; i < 4; i++) names.push(`image${i}.png`);
  const blobs = new Map();
  for (const name of names) blobs.set(name, await (await fetch(`/tiny/${name}`)).blob());
  return trainTiny('/dist/browser.js', (name) => blobs.get(name), preset, steps);
}
