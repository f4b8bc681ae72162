export function sgdReference([w, b, gradient, control, hyper]: readonly Float64Array[]): Float64Array[] {
  const [rate, momentum, nesterov, , decay, first, , active] = [...hyper!] as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  if (active === 0 || control![1]! < 0) return [w!, b!];
  const g = gradient!.map((d, i) => control![0]! * d + decay * w![i]!);
  const buffer = first ? g : b!.map((old, i) => momentum * old + g[i]!);
  const next = w!.map((old, i) => old - rate * (nesterov ? g[i]! + momentum * buffer[i]! : buffer[i]!));
  return [next, buffer];
}
