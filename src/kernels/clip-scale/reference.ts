export function clipScaleReference([squares, hyper]: readonly Float64Array[]): Float64Array[] {
  const [inverse, most] = hyper as unknown as [number, number];
  const finite = squares!.every((v) => v >= 0);
  const norms = squares!.map((v) => (v < 0 ? -1 : inverse * Math.sqrt(v)));
  const total = finite ? inverse * Math.sqrt(squares!.reduce((sum, v) => sum + v, 0)) : -1;
  const factor = inverse * (most > 0 ? Math.min(1, most / (total + 1e-6)) : 1);
  return [Float64Array.of(finite ? factor : 0, total, ...norms)];
}
