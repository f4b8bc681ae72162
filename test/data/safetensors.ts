import { readFileSync } from 'node:fs';

/** U8 and F32 tensors of a small safetensors fixture, by name. */
export function readFixture(url: URL): Map<string, { shape: number[]; data: Uint8Array | Float32Array }> {
  const file = readFileSync(url);
  const headerBytes = Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.toString('utf8', 8, 8 + headerBytes)) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  >;
  const tensors = new Map();
  for (const [name, info] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    const [from, to] = info.data_offsets;
    const bytes = Uint8Array.from(file.subarray(8 + headerBytes + from, 8 + headerBytes + to));
    tensors.set(name, {
      shape: info.shape,
      data: info.dtype === 'F32' ? new Float32Array(bytes.buffer) : bytes,
    });
  }
  return tensors;
}
