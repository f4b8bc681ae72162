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
