import { expect, test } from 'vitest';
import { MlaLpError } from '../../src/runtime/errors';
import { reflect } from '../../src/runtime/reflect';

const ENTRY = '@compute @workgroup_size(1) fn main() {}';

test('bindings by name, with access, holes in the numbers allowed', () => {
  const text = `@group(0) @binding(0) var<storage, read> a: array<f32>;
    @group(0) @binding(3) var<storage, read_write> b: array<vec4<f32>>;
    @group(0) @binding(1) var<storage> c: array<u32>;
    var<workgroup> w: array<f32, 4>;
    ${ENTRY}`;
  const { entryPoint, bindings } = reflect('t', text);
  expect(entryPoint).toBe('main');
  expect([...bindings].sort((x, y) => x.binding - y.binding)).toEqual([
    { name: 'a', binding: 0, access: 'read' },
    { name: 'c', binding: 1, access: 'read' },
    { name: 'b', binding: 3, access: 'read_write' },
  ]);
});

test.each([
  ['@group(1) @binding(0) var<storage, read> a: array<f32>;', /a is not in group 0/],
  ['@compute @workgroup_size(1) fn second() {}', /one compute entry point/],
  ['fn broken( {', /does not parse/],
])('%s is refused', (line, message) => {
  expect(() => reflect('t', `${line}\n${ENTRY}`)).toThrow(message);
  expect(() => reflect('t', `${line}\n${ENTRY}`)).toThrow(MlaLpError);
});

test('subgroup matrices, which wgsl_reflect cannot parse, leave the declarations readable', () => {
  const layout = reflect(
    'matrices',
    `enable chromium_experimental_subgroup_matrix;
diagnostic(off, chromium.subgroup_matrix_uniformity);
alias Left = subgroup_matrix_left<f16, K, M>; // a {comment}
struct Pair { a: f32, b: f32 }
@group(0) @binding(1) var<storage, read> x: array<f16>;
fn left_at(at: u32) -> Left { if (at > 0u) { return subgroupMatrixLoad<Left, row_major>(&x, at, 8u); } return Left(); }
@group(0) @binding(0) var<storage, read_write> y: array<Pair>;
@compute @workgroup_size(32) fn main() { subgroupMatrixStore<row_major>(&y, 0u, left_at(1u), 8u); }
@group(0) @binding(2) var<storage, read> z: array<f32>;`,
  );
  expect(layout.entryPoint).toBe('main');
  expect(layout.bindings).toEqual([
    { name: 'x', binding: 1, access: 'read' },
    { name: 'y', binding: 0, access: 'read_write' },
    { name: 'z', binding: 2, access: 'read' },
  ]);
});
