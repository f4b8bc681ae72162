/** Which variant of LayerNorm, of softmax and of their gradients each kind of device gets. */
import { expect, test } from 'vitest';
import { layerNormOp } from '../../src/kernels/layer-norm/layer-norm';
import { layerNormBackwardOp } from '../../src/kernels/layer-norm/layer-norm-backward';
import { softmaxOp } from '../../src/kernels/softmax/softmax';
import { softmaxBackwardOp } from '../../src/kernels/softmax/softmax-backward';
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
  const [x, weight] = [[290, columns], [columns]].map((shape) => tensorType('f32', shape));
  const attrs = { eps: 1e-5 };
  expect(layerNormOp.choose({ inputs: [x!, weight!, weight!], outputs: [], attrs }, caps)).toBe(variant);
  expect(layerNormBackwardOp.choose({ inputs: [x!, weight!, x!], outputs: [], attrs }, caps)).toBe(variant);
});

test.each([
  ['a CPU', { ...lanes(8), software: true }, 290, 'plain'],
  ['two classes', lanes(32), 2, 'plain'],
  ['a GPU without subgroups', PORTABLE, 290, 'workgroup'],
  ['subgroups of 32', lanes(32), 290, 'subgroup'],
  ['subgroups of 8 to 32', lanes(8, 32), 290, 'workgroup'],
  ['a row too long for one subgroup', lanes(32), 577, 'workgroup'],
] as const)('softmax: %s', (_device, caps, columns, variant) => {
  const x = tensorType('f32', [290, columns]);
  expect(softmaxOp.choose({ inputs: [x], outputs: [], attrs: null }, caps)).toBe(variant);
  expect(softmaxBackwardOp.choose({ inputs: [x, x], outputs: [], attrs: null }, caps)).toBe(variant);
});
