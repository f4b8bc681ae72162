/** Mean and standard deviation of each colour channel that CLIP was trained with (OpenAI's preprocessing). */
const MEAN = [0.48145466, 0.4578275, 0.40821073] as const;
const DEVIATION = [0.26862954, 0.26130258, 0.27577711] as const;

/**
 * A batch of images side by side, what is missing left 0.
 * @param images f32 [3, S, S] in 0..1 each, at most `batch`. @param normalise as CLIP was trained: minus mean, over deviation.
 * @returns f32 [batch, 3, S, S].
 */
export function packImages(
  images: readonly Float32Array[],
  batch: number,
  size: number,
  normalise: boolean,
): Float32Array<ArrayBuffer> {
  const plane = size * size;
  const out = new Float32Array(batch * 3 * plane);
  for (const [i, image] of images.entries()) {
    out.set(image, i * 3 * plane);
    if (!normalise) continue;
    for (let c = 0; c < 3; c++) {
      const start = (3 * i + c) * plane;
      for (let p = start; p < start + plane; p++) out[p] = (out[p]! - MEAN[c]!) / DEVIATION[c]!;
    }
  }
  return out;
}
