/** What the laboratory makes of texts, without a device: expressions, templates, limits, shapes, parts of cases. */
import { expect, test } from 'vitest';
import { evaluate, evaluateList } from '../../bench/laboratory/expression';
import { occupancyOf, workgroupSize } from '../../bench/laboratory/occupancy';
import { OwnKernel } from '../../bench/laboratory/own-kernel';
import { allChoices, assertFits, caseOf, suiteNamed } from '../../bench/laboratory/request';
import { constantValues, readHeader, storageScalars } from '../../bench/laboratory/template';
import { withinLimit } from '../../bench/laboratory/time-limit';
import { spread } from '../../bench/laboratory/verify';
import { suites } from '../../src/kernels/suites';
import { PORTABLE } from '../../src/runtime/capabilities';
import { OptionError } from '../../src/runtime/errors';
import { sizeOf } from '../../src/runtime/tensor-type';
import { callOf, operandsOf, referenceOf } from '../kernels/run-case';

const NAMES = { M: 65, N: 96, K: 588, BIAS: true, GELU: false };

test.each([
  ['1 + 2 * 3 - 4 / 8', 6.5],
  ['(1 + 2) * 3 % 5', 4],
  ['10 - 4 - 3', 3],
  ['ceil(M / 64)', 2],
  ['max(M, N, 3) - min(M, N)', 31],
  ['floor(-K / 100) + 64u', 58],
  ['u32(M) * 2.5f', 162.5],
  ['K % 4 == 0 && !GELU', 1],
  ['GELU || M >= 66 || M <= 64', 0],
  ['BIAS + (M < N) + (M > N) + (M != N)', 3],
])('%s is %d', (text, value) => {
  expect(evaluate(text, NAMES)).toBe(value);
});

test.each([
  ['M + Q', /there is no Q.*There are: M, N, K/],
  ['constructor', /there is no constructor/],
  ['__proto__', /there is no __proto__/],
  ['ceil(M / 64', /does not close/],
  ['M N', /"N" is one too many/],
  ['M +', /ends too early/],
  ['M + ) ', /"\)" stands where a value should/],
  ['process.exit()', /there is no process|"\." means nothing/],
  ['M; N', /";" means nothing here/],
  ['M, N', /one value is wanted/],
  ['', /ends too early/],
  [`${'('.repeat(60)}M${')'.repeat(60)}`, /nests deeper/],
  ['1+'.repeat(300), /longer than 500/],
])('%s is refused', (text, message) => {
  expect(() => evaluate(text, NAMES)).toThrow(OptionError);
  expect(() => evaluate(text, NAMES)).toThrow(message);
});

test('commas part a list', () => {
  expect(evaluateList('ceil(N / 64), max(1, 2), 3', NAMES)).toEqual([2, 2, 3]);
});

const TEXT = `enable f16;
alias X = f16;
alias V = vec4<X>;
const TN: u32 = 8u;
const TILE: u32 = TN * 2u;
const CAUSAL: bool = true;
const TEMPERATURE: f32 = exp(2.0f);
@group(0) @binding(0) var<storage, read> x: array<V>;
@group(0) @binding(1) var<storage, read> rows: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<vec2f>;
var<workgroup> tile: array<vec3<f32>, TILE>;
var<workgroup> flags: array<atomic<u32>, 3>;
fn helper() -> f32 {
  var a = array<array<f32, TN>, 2>(); // var not: f32 counted, array<f32, 1000>
  return a[0][0];
}
@compute @workgroup_size(TN * 2u, 4)
fn main() {
  var m: mat4x2<f32>;
  var h: array<X, 6>;
  var k = 0u;
  let not_counted = vec4<f32>();
}`;

test('constants, types and the workgroup are read off the text', () => {
  expect(constantValues(TEXT)).toEqual({ TN: 8, TILE: 16, CAUSAL: true });
  expect(constantValues(TEXT, { TN: 4 })).toEqual({ TN: 4, TILE: 8, CAUSAL: true });
  expect(Object.fromEntries(storageScalars(TEXT))).toEqual({ x: 'f16', rows: 'u32', y: 'f32' });
  expect(workgroupSize(TEXT)).toEqual([16, 4, 1]);
});

test('limits: the largest dispatch, workgroups of all, sizes as WGSL lays them out', () => {
  const small = '@compute @workgroup_size(8) fn main() { var a: array<f32, 2>; }';
  const found = occupancyOf(
    [
      { wgsl: TEXT, workgroups: [3, 2, 1] },
      { wgsl: small, workgroups: [5, 1, 1] },
    ],
    PORTABLE,
  );
  expect(found).toEqual({
    invocations: { used: 64, limit: 256 },
    // 16 vec3 of 16 bytes; 3 words, rounded up to 16 bytes
    workgroupBytes: { used: 272, limit: 16384 },
    storageBuffers: { used: 3, limit: 8 },
    dispatches: 2,
    workgroups: 11,
    // 16 words, a 4x2 matrix of 8, six f16 in 3, a counter
    declaredWords: 28,
    incomplete: false,
  });
  const matrix =
    '@compute @workgroup_size(32) fn main() { var a: array<subgroup_matrix_result<f32, 8, 8>, 4>; }';
  expect(occupancyOf([{ wgsl: matrix, workgroups: [1, 1, 1] }], PORTABLE).incomplete).toBe(true);
});

test('a header has one grid, conditions and flags', () => {
  const header = readHeader(
    '// grid: 1, 2\n// when: K % 4 == 0\n// when: !GELU\n// flag TAIL: M % 8 != 0\n  // grid: 7\n',
  );
  expect(header).toEqual({
    grid: '1, 2',
    when: ['K % 4 == 0', '!GELU'],
    flags: new Map([['TAIL', 'M % 8 != 0']]),
  });
  expect(() => readHeader('// grid: 1\n// grid: 2')).toThrow(/two "\/\/ grid:"/);
});

const gemm = suiteNamed('gemm');
const PLAIN = `alias X = f32;
const M: u32 = 1u;
const N: u32 = 1u;
const K: u32 = 1u;
@group(0) @binding(0) var<storage, read> x: array<X>;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(64) fn main() { y[0] = x[0] * w[0]; }
`;
const own = (wgsl: string, grid?: string) =>
  new OwnKernel(gemm, { file: 'dir/mine.wgsl', wgsl, ...(grid && { grid }) }, PORTABLE);
const lowered = (wgsl: string, shape = '5x7x9', choices = {}, dtype: 'f32' | 'f16' = 'f32') =>
  own(wgsl, 'ceil(M / 2), N').lower(callOf(gemm, caseOf(gemm, { shape, choices, dtype })), PORTABLE);

test('an own kernel takes the constants, types and grid of a call', () => {
  expect(lowered(PLAIN)).toMatchObject({
    variant: 'mine',
    dispatches: [
      {
        constants: { M: 5, N: 9, K: 7 },
        types: { X: 'f32' },
        flags: [],
        bindings: { x: { input: 0 }, w: { input: 1 }, y: { output: 0 } },
        workgroups: [3, 9, 1],
      },
    ],
  });
});

test.each([
  ['bias', { bias: true }, 'it does not take bias'],
  ['a block for gelu', { activation: 'gelu' }, 'it has no block @if GELU'],
  ['the other layout', { layout: 'mk-kn' }, 'it has no block @if W_KN'],
])('without %s it is not for such calls', (_, choices, cannot) => {
  expect(lowered(PLAIN, '5x7x9', choices)).toEqual({ cannot });
});

test('what a kernel says of itself decides which calls it is for', () => {
  expect(lowered(`// when: K % 4 == 0\n${PLAIN}`)).toEqual({ cannot: 'it is for calls with K % 4 == 0' });
  expect(lowered(`// when: W_KN\n${PLAIN}`, '4x8x4', { layout: 'mk-kn' })).toHaveProperty('dispatches');
  const strides = PLAIN.replace('const K', 'const COL_STRIDE: u32 = 1u;\nconst K_STRIDE: u32 = 1u;\nconst K');
  expect(lowered(strides, '4x8x4', { layout: 'mk-kn' })).toHaveProperty('dispatches');
  expect(lowered(PLAIN, '4x8x4', {}, 'f16')).toEqual({ cannot: 'w is f16, it has f32' });
  const flagged = `// flag TAIL: K % 4 != 0\n${PLAIN}// @if TAIL\nfn tail() {}\n// @end\n`;
  expect(lowered(flagged)).toMatchObject({ dispatches: [{ flags: ['TAIL'] }] });
  expect(lowered(flagged, '4x8x4')).toMatchObject({ dispatches: [{ flags: [] }] });
});

test.each([
  [
    'a missing binding',
    PLAIN.replaceAll(/\bw\b/g, 'q'),
    /no binding w\. gemm has: x, w, y, bias \(some calls\)/,
  ],
  ['a result that is read only', PLAIN.replace('read_write', 'read'), /y must be read_write/],
  ['an operand that is written', PLAIN.replace('read> w', 'read_write> w'), /w must be read/],
  [
    'a binding too many',
    `${PLAIN}@group(0) @binding(5) var<storage, read> z: array<f32>;`,
    /z is no operand/,
  ],
])('%s is an error', (_, wgsl, message) => {
  expect(() => lowered(wgsl)).toThrow(message);
});

test.each([
  ['no grid', PLAIN, undefined, /how many workgroups\?/],
  [
    'a block that nothing sets',
    `// grid: 1\n// @if BIASS\n// @end\n${PLAIN}`,
    undefined,
    /sets BIASS.*Calls set: .*BIAS/s,
  ],
])('%s is an error at once', (_, wgsl, grid, message) => {
  expect(() => own(wgsl, grid)).toThrow(message);
});

test.each([
  ['M / 2', /the grid "M \/ 2" is 2\.5 here.*use ceil/],
  ['0', /is 0 here/],
  ['1, 1, 1, 1', /one to three/],
  ['Q', /mine\.wgsl, grid: .*there is no Q/],
])('the grid %s is refused', (grid, message) => {
  const call = callOf(gemm, caseOf(gemm, { shape: '5x7x9' }));
  expect(() => own(PLAIN, grid).lower(call, PORTABLE)).toThrow(message);
});

test('a workgroup or a grid that the device has no room for cannot run', () => {
  const call = callOf(gemm, caseOf(gemm, { shape: '5x7x9' }));
  expect(own(PLAIN, '65536').lower(call, PORTABLE)).toEqual({
    cannot: 'it needs 65536 workgroups along an axis',
  });
  expect(own(PLAIN.replace('(64)', '(64, 5)'), '1').lower(call, PORTABLE)).toHaveProperty('cannot');
});

test('a shape with choices is the case that the table has', () => {
  const words = { shape: '68x77x132', choices: { layout: 'km-kn' } };
  const made = caseOf(gemm, words);
  const known = gemm.cases.find(({ name }) => name === 'f32 68x77x132 km kn')!;
  expect(made.name).toBe(known.name);
  expect(made.inputs).toEqual(known.inputs);
  expect(operandsOf(made)).toEqual(operandsOf(known));
  expect(caseOf(suiteNamed('attention'), { shape: '2x9x2x5', choices: { lse: true } }).name).toBe(
    'f32 B=2 T=9 heads=2x5 lse',
  );
  expect(caseOf(suiteNamed('softmax'), { shape: '4x290x290', dtype: 'f16' }).name).toBe('f16 [4,290,290]');
  expect(caseOf(suiteNamed('warp'), {}).name).toBe(suiteNamed('warp').cases.find(({ bench }) => bench)!.name);
});

test.each([
  ['gem', {}, /no op gem\. There are: .*gemm/],
  ['gemm', { shape: '290x1024' }, /"290x1024" is no shape of gemm\. It is M x K x N/],
  ['gemm', { shape: '2x0x4' }, /no shape of gemm/],
  ['gemm', { shape: '2x1e3x4' }, /no shape of gemm/],
  ['gemm', { shape: '2x3x4', choices: { causal: true } }, /gemm has no causal\. It has: layout, bias/],
  ['gemm', { shape: '2x3x4', choices: { activation: 'relu' } }, /cannot be relu\. It is none, gelu/],
  ['gemm', { case: 'f32 290x', choices: { bias: true } }, /bias goes with a shape/],
  ['gemm', { shape: '2x3x4', case: 'f32' }, /one of the two/],
  ['gemm', { case: 'f32 290x1024x' }, /\d cases of gemm have/],
  ['warp', { shape: '2x3' }, /warp has no natural shape/],
] as const)('%s %j is refused', (op, words, message) => {
  expect(() => caseOf(suiteNamed(op), words)).toThrow(message);
});

test('a shape that no binding can hold is refused before it is filled', () => {
  const huge = caseOf(gemm, { shape: '40000x40000x4' });
  expect(() => assertFits(gemm, huge, PORTABLE)).toThrow(/maxStorageBufferBindingSize.*too large/);
});

test('choices of all ops have a place on one command line', () => {
  const reserved = [
    'shape',
    'case',
    'dtype',
    'variants',
    'wgsl',
    'grid',
    'limit',
    'watch',
    'json',
    'html',
    'budget',
    'quiet',
    'help',
  ];
  for (const [name, { values }] of allChoices()) {
    expect(reserved).not.toContain(name);
    for (const { shaped } of suites) {
      const own = shaped?.choices?.[name];
      if (own) expect(own).toEqual(values);
    }
  }
});

test('rows of a case are computed from their part alone', () => {
  let tried = 0;
  for (const suite of suites.filter(({ rows }) => rows)) {
    for (const one of suite.cases) {
      const call = callOf(suite, one);
      if (suite.op.flops(call) > 1e6) continue;
      const count = suite.rows!.count(call);
      const part = suite.rows!.part(call, spread(count, Math.min(count, 3)));
      const operands = operandsOf(one);
      const inputs = part.inputs.map((type, k) =>
        Float64Array.from({ length: sizeOf(type) }, (_, i) => operands[k]![part.from[k]?.(i) ?? i]!),
      );
      const outputs = suite.op.infer(part.inputs, part.attrs);
      const whole = referenceOf(suite, one);
      const rows = suite.reference(inputs, { inputs: part.inputs, outputs, attrs: part.attrs });
      for (const [k, values] of rows.entries()) {
        expect(values.length).toBe(sizeOf(outputs[k]!));
        values.forEach((value, i) => {
          expect(value, `${suite.op.name} ${one.name}`).toBeCloseTo(whole[k]![part.to[k]!(i)]!, 12);
        });
      }
      tried++;
    }
  }
  expect(tried).toBeGreaterThan(30);
});

test('rows are spread from the first to the last', () => {
  expect(spread(10, 10)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  expect(spread(1, 1)).toEqual([0]);
  const some = spread(1000, 20);
  expect(some).toHaveLength(20);
  expect([some[0], some.at(-1)]).toEqual([0, 999]);
  const gaps = some.slice(1).map((row, i) => row - some[i]!);
  expect(Math.max(...gaps)).toBeLessThan(120);
});

test('what does not come back in time is an error, what does is not', async () => {
  await expect(withinLimit('mine', 20, new Promise(() => {}))).rejects.toThrow(
    /mine did not finish within 0\.02 s/,
  );
  await expect(withinLimit('mine', 1000, Promise.resolve(3))).resolves.toBe(3);
});
