// The built library, used as a page or a Deno script would: weights, checkpoint and images by address, numbers out.

/** @returns {Promise<{adapter: string, levels: number[][], map: number[]}>} of the tiny case; map: every 97th value. */
export async function detectTiny(library, weights, checkpoint, images, preset) {
  const { openDevice, loadClip, MlaLp } = await import(library);
  const gpu = await openDevice();
  const clip = await loadClip(gpu, weights);
  const model = await MlaLp.load(clip, { checkpoint, preset, imageSize: 100, batch: 2 });
  const results = await model.detect(images);
  const answer = {
    adapter: gpu.name,
    levels: results.map((r) => [...r.levels]),
    map: results.flatMap((r) => [...r.map].filter((_, i) => i % 97 === 0)),
  };
  await model.destroy();
  await clip.close();
  gpu.destroy();
  return answer;
}

/** In a page: files fetched as Blobs, images as Blob, ImageBitmap and ImageData. */
export async function detectInPage(preset) {
  const blob = async (path) => (await fetch(path)).blob();
  const images = await Promise.all([0, 1, 2, 3].map((i) => blob(`/tiny/image${i}.png`)));
  const bitmap = await createImageBitmap(images[1], {
    colorSpaceConversion: 'none',
    premultiplyAlpha: 'none',
  });
  const context = new OffscreenCanvas(100, 100).getContext('2d');
  context.drawImage(bitmap, 0, 0);
  const mixed = [images[0], bitmap, images[2], images[3]];
  const weights = await blob('/tiny/clip.safetensors');
  const answer = await detectTiny('/dist/browser.js', weights, '/tiny/init.safetensors', mixed, preset);
  const same = await detectTiny(
    '/dist/browser.js',
    'synthetic:tiny',
    'synthetic:tiny',
    [images[0], context.getImageData(0, 0, 100, 100)],
    preset,
  );
  return { ...answer, same: same.levels };
}
