export function accumulateReference([acc, gradient, hyper]: readonly Float64Array[]): Float64Array[] {
  const [keep, factor] = hyper as unknown as [number, number];
  return [gradient!.map((v, i) => factor * v + (keep === 0 ? 0 : keep * acc![i]!))];
}
