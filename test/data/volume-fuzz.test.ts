/** Damaged volumes: whatever bytes change, the answer is a picture or a typed error, soon. */
import { readdirSync, readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { openVolume } from '../../src/data/volume';
import { decoders } from '../../src/platform/node/decode-image';
import { MlaLpError } from '../../src/runtime/errors';
import { CANARIES } from './make-dicom';
import { makeNifti, NIFTI_CANARIES } from './make-nifti';

const folder = new URL('../fixtures/dicom/', import.meta.url);
const seeds: Record<string, Buffer> = Object.fromEntries(
  readdirSync(folder).map((name) => [name, readFileSync(new URL(name, folder))]),
);
const values = Array.from({ length: 60 }, (_, i) => i * 3);
for (const version of [1, 2] as const) {
  const shape = { version, dims: [3, 4, 5], sform: [-1, 0, 0, 1, 0, 1, 0, 2, 0, 0, 2, 3], slope: 2 };
  seeds[`nifti-${version}`] = makeNifti(shape, values);
  seeds[`nifti-${version}.gz`] = gzipSync(makeNifti({ ...shape, type: 16 }, values));
}

/** Small: what a header may claim is bounded, and the bound is what is tested. */
const limits = { maxPixels: 1e6, maxBytes: 2 ** 22 };
const MOST_MS = 5000;

type Change = [place: number, value: number, kind: 'set' | 'cut' | 'insert' | 'repeat'];
const changes = fc.array(
  fc.tuple(
    fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
    // Values that lengths and counts go wrong at, and any other.
    fc.oneof(fc.constantFrom(0, 1, 0x7f, 0x80, 0xfe, 0xff), fc.integer({ min: 0, max: 255 })),
    fc.oneof(
      { weight: 8, arbitrary: fc.constant('set' as const) },
      fc.constantFrom('cut' as const, 'insert' as const, 'repeat' as const),
    ),
  ),
  { minLength: 1, maxLength: 6 },
);

function mutated(seed: Uint8Array, edits: readonly Change[]): Uint8Array {
  let bytes: Uint8Array = Uint8Array.from(seed);
  for (const [place, value, kind] of edits) {
    const at = Math.floor(place * bytes.length);
    if (kind === 'set') bytes[at] = value;
    else if (kind === 'cut') bytes = bytes.subarray(0, at);
    else if (kind === 'insert')
      bytes = Buffer.concat([bytes.subarray(0, at), Uint8Array.of(value), bytes.subarray(at)]);
    else bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at, at + value), bytes.subarray(at)]);
  }
  return bytes;
}

async function mustAnswer(bytes: Uint8Array): Promise<void> {
  const start = performance.now();
  try {
    const volume = await openVolume(decoders, bytes, 'scan', { limits });
    expect(volume.slices).toBeGreaterThanOrEqual(1);
    for (const i of new Set([0, volume.slices - 1])) {
      const { width, height, data } = await volume.slice(i);
      expect(data.length).toBe(3 * width * height);
    }
  } catch (error) {
    if (!(error instanceof MlaLpError)) throw error;
    for (const canary of [...CANARIES, ...NIFTI_CANARIES]) expect(error.message).not.toContain(canary);
  }
  expect(performance.now() - start).toBeLessThan(MOST_MS);
}

describe('changed bytes', () => {
  test.each(Object.keys(seeds))('%s', { timeout: 60_000 }, async (name) => {
    await fc.assert(
      fc.asyncProperty(changes, (edits) => mustAnswer(mutated(seeds[name]!, edits as Change[]))),
      { numRuns: 60 },
    );
  });

  test('every cut of every file', { timeout: 60_000 }, async () => {
    for (const seed of Object.values(seeds)) {
      for (let length = 1; length < seed.length; length += 37) await mustAnswer(seed.subarray(0, length));
    }
  });
});

test('a cut-off compressed picture is never shown', { timeout: 60_000 }, async () => {
  for (const name of [
    'lossless-sv1',
    'lossless-4',
    'jpegls',
    'jpegls-near',
    'extended12',
    'rle',
    'jpeg2000',
    'htj2k',
  ]) {
    const seed = seeds[`${name}.dcm`]!;
    const length = seed.readUInt32LE(seed.lastIndexOf(Buffer.from('feff00e0', 'hex')) + 4);
    const from = seed.lastIndexOf(Buffer.from('feff00e0', 'hex')) + 8;
    for (const keep of [0.3, 0.6, 0.9]) {
      const kept = 2 * Math.floor((length * keep) / 2);
      const bytes = Buffer.concat([seed.subarray(0, from + kept), seed.subarray(from + length)]);
      bytes.writeUInt32LE(kept, from - 4);
      const volume = await openVolume(decoders, bytes, 'scan');
      await expect(volume.slice(0), `${name} ${keep}`).rejects.toThrow(MlaLpError);
    }
  }
});
