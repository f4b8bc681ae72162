export function trainTiny(
  library: string,
  files: (name: string) => unknown,
  preset: string,
  steps: number,
): Promise<{ adapter: string; losses: number[]; before: number[]; after: number[] }>;
