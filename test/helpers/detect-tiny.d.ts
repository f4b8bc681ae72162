export function detectTiny(
  library: string,
  weights: unknown,
  checkpoint: unknown,
  images: readonly unknown[],
  preset: string,
): Promise<{ adapter: string; levels: number[][]; map: number[] }>;
