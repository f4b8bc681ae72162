/** DICOM Secondary Capture and NIfTI as written here: what our readers get back, and what must not be inside. */
import { expect, test } from 'vitest';
import { openVolume } from '../../src/data/volume';
import { newUid, secondaryCapture } from '../../src/io/write-dicom';
import { niftiChunks } from '../../src/io/write-nifti';
import { decoders } from '../../src/platform/node/decode-image';
import { ShapeError } from '../../src/runtime/errors';

const data = Uint8Array.from({ length: 5 * 3 * 3 }, (_, i) => i * 5);
const picture = { width: 5, height: 3, data, version: '9.9', description: 'a test' };

test('a Secondary Capture holds the picture and no patient', async () => {
  const bytes = secondaryCapture({ ...picture, instance: 7 });
  const volume = await openVolume(decoders, bytes, 'out');
  expect(volume.warnings).toEqual([]);
  expect(await volume.slice(0)).toEqual({ width: 5, height: 3, data });
  expect(volume.place?.instance).toBe(7);
  // Group 0010 is there, as the standard asks, and empty.
  const text = Buffer.from(bytes).toString('latin1');
  for (const tag of ['\x10\0\x10\0PN', '\x10\0\x20\0LO', '\x10\0\x30\0DA', '\x10\0\x40\0CS']) {
    expect(text).toContain(`${tag}\0\0`);
  }
  expect(bytes.length % 2).toBe(0);
});

test('pictures share a study and series where they are told to, and no instance', () => {
  const ids = (bytes: Uint8Array) =>
    Buffer.from(bytes)
      .toString('latin1')
      .match(/2\.25\.\d+/g)!;
  const shared = { study: newUid(), series: newUid() };
  const [a, b] = [
    ids(secondaryCapture({ ...picture, ...shared })),
    ids(secondaryCapture({ ...picture, ...shared })),
  ];
  // Instance (meta), implementation, instance, study, series.
  expect(a.slice(3)).toEqual([shared.study, shared.series]);
  expect(b.slice(3)).toEqual(a.slice(3));
  expect(b[0]).not.toBe(a[0]);
  expect(a[2]).toBe(a[0]);
  expect(newUid().length).toBeLessThanOrEqual(64);
});

test('sizes that DICOM cannot hold', () => {
  expect(() => secondaryCapture({ ...picture, width: 4 })).toThrow(ShapeError);
  const wide = { ...picture, width: 65_536, height: 1, data: new Uint8Array(3 * 65_536) };
  expect(() => secondaryCapture(wide)).toThrow(/65536 x 1/);
});

test('a map comes back from NIfTI with its affine', async () => {
  const values = Float32Array.from({ length: 24 }, (_, i) => i / 24);
  const affine = [0, -2, 0, 10, 3, 0, 0, -20, 0, 0, 4, 30];
  const bytes = Buffer.concat([...niftiChunks({ dims: [2, 3, 4], spacing: [3, 2, 4], affine, values })]);
  const volume = await openVolume(decoders, bytes, 'map', { axis: 2, window: { center: 0.5, width: 1 } });
  expect(volume.grid.affine).toEqual(affine);
  expect([volume.grid.dims, volume.grid.spacing]).toEqual([
    [2, 3, 4],
    [3, 2, 4],
  ]);
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  expect(view.getFloat32(352 + 4 * 7, true)).toBe(values[7]);
  expect(bytes.length).toBe(352 + 96);
});

test('volumes that NIfTI-1 cannot hold', () => {
  const values = new Float32Array(6);
  expect(() => [...niftiChunks({ dims: [2, 2, 2], spacing: [1, 1, 1], values })]).toThrow(
    /6 values, 2 x 2 x 2/,
  );
  const long = {
    dims: [32_768, 1, 1] as const,
    spacing: [1, 1, 1] as const,
    values: new Float32Array(32_768),
  };
  expect(() => [...niftiChunks(long)]).toThrow(/32768 x 1 x 1/);
});
