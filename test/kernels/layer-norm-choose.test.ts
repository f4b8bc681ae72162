/** Which variant of LayerNorm each kind of device gets. */
import { expect, test } from 'vitest';
import { layerNormOp } from '../../src/kernels/layer-norm/layer-norm';
import { type Capabilities, PORTABLE } from '../../src/runtime/capabilities';
import { tensorType } from '../../src/runtime/tensor-type';

const lanes = (least: number, most = least) => ({
  ...PORTABLE,
  subgroups: true,
  subgroupMinSize: least,
  subgroupMaxSize: most,
});

const table: [string, Capabilities, number, string][] = [
  ['a CPU', { ...lanes(8), software: true }, 1024, 'plain'],
  ['a GPU without subgroups', PORTABLE, 1024, 'workgroup'],
  ['subgroups of 32', lanes(32), 1024, 'subgroup'],
  ['subgroups of 64', lanes(64), 1280, 'subgroup'],
  ['subgroups of 8 to 32', lanes(8, 32), 1024, 'workgroup'],
  ['subgroups of 16', lanes(16), 1024, 'workgroup'],
  ['a row too long for one subgroup', lanes(32), 4096, 'workgroup'],
  ['columns that vec4 do not divide', lanes(32), 1023, 'workgroup'],
];

test.each(table)('%s', (_device, caps, columns, variant) => {
  const inputs = [[290, columns], [columns], [columns]].map((shape) => tensorType('f32', shape));
  expect(layerNormOp.choose({ inputs, outputs: [], attrs: { eps: 1e-5 } }, caps)).toBe(variant);
});
