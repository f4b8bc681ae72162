import { expect, test } from 'vitest';
import { OnnxModel } from '../../bench/peers/onnx/model';
import { Message, varint } from '../../bench/peers/onnx/protobuf';
import { modelOf } from '../../bench/peers/onnx/workload-model';
import type { WeightsIndex } from '../../bench/peers/weights-file';
import { type BlockWork, operandOf, type TowerWork, visionWeights } from '../../bench/peers/workloads';
import { decodeF16 } from '../../src/runtime/float16';

type Field = number | Uint8Array;

/** Reads any protocol buffer: field number -> values in order. Integers are read as signed 64-bit. */
function parse(bytes: Uint8Array): Map<number, Field[]> {
  const fields = new Map<number, Field[]>();
  let at = 0;
  const readVarint = () => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++]!;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return Number(BigInt.asIntN(64, value));
    }
  };
  while (at < bytes.length) {
    const key = readVarint();
    const [field, type] = [key >> 3, key & 7];
    let value: Field;
    if (type === 0) value = readVarint();
    else if (type === 2) {
      const length = readVarint();
      value = bytes.subarray(at, at + length);
      at += length;
    } else throw new Error(`wire type ${type}`);
    fields.set(field, [...(fields.get(field) ?? []), value]);
  }
  expect(at).toBe(bytes.length);
  return fields;
}

const text = (value: Field | undefined) => new TextDecoder().decode(value as Uint8Array);
const messages = (fields: Map<number, Field[]>, field: number) =>
  (fields.get(field) ?? []).map((value) => parse(value as Uint8Array));

interface ReadNode {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly domain: string;
  readonly attributes: Readonly<Record<string, unknown>>;
}

function readModel(bytes: Uint8Array) {
  const model = parse(bytes);
  const graph = messages(model, 7)[0]!;
  const nodes = messages(graph, 1).map(
    (node): ReadNode => ({
      inputs: (node.get(1) ?? []).map(text),
      outputs: (node.get(2) ?? []).map(text),
      op: text(node.get(4)![0]),
      domain: node.has(7) ? text(node.get(7)![0]) : '',
      attributes: Object.fromEntries(
        messages(node, 5).map((one) => [
          text(one.get(1)![0]),
          { 2: one.get(3)?.[0], 3: text(one.get(4)?.[0]), 7: one.get(8) }[one.get(20)![0] as 2 | 3 | 7],
        ]),
      ),
    }),
  );
  const constants = new Map(
    messages(graph, 5).map((tensor) => [
      text(tensor.get(8)![0]),
      {
        shape: tensor.get(1) ?? [],
        type: tensor.get(2)![0],
        raw: tensor.get(9)?.[0] as Uint8Array | undefined,
        external: Object.fromEntries(
          messages(tensor, 13).map((e) => [text(e.get(1)![0]), text(e.get(2)![0])]),
        ),
        location: tensor.get(14)?.[0],
      },
    ]),
  );
  expect(constants.size, 'constants of different names').toBe(graph.get(5)?.length ?? 0);
  const values = (field: number) =>
    messages(graph, field).map((info) => {
      const tensor = messages(messages(info, 2)[0]!, 1)[0]!;
      const shape = messages(messages(tensor, 2)[0]!, 1).map((dimension) => dimension.get(1)![0]);
      return { name: text(info.get(1)![0]), type: tensor.get(1)![0], shape };
    });
  const opsets = messages(model, 8).map((one) => [text(one.get(1)![0]), one.get(2)![0]]);
  return { ir: model.get(1)![0], opsets, nodes, constants, inputs: values(11), outputs: values(12) };
}

/** Every value is made once, before it is read. */
function assertConnected({ nodes, constants, inputs, outputs }: ReturnType<typeof readModel>): void {
  const made = new Set([...constants.keys(), ...inputs.map(({ name }) => name)]);
  for (const node of nodes) {
    for (const input of node.inputs) expect(made, `${node.op} reads ${input}`).toContain(input);
    for (const output of node.outputs) {
      expect(made, `${output} twice`).not.toContain(output);
      made.add(output);
    }
  }
  for (const { name } of outputs) expect(made).toContain(name);
}

test('varints: the examples of the encoding guide, and a negative number', () => {
  expect([...varint(1)]).toEqual([1]);
  expect([...varint(150)]).toEqual([0x96, 0x01]);
  expect([...varint(-1)]).toEqual([255, 255, 255, 255, 255, 255, 255, 255, 255, 1]);
  expect(() => varint(1.5)).toThrow(RangeError);
  expect([...new Message().integer(1, 150).finish()]).toEqual([0x08, 0x96, 0x01]);
  expect([...new Message().text(2, 'testing').finish()]).toEqual([0x12, 7, ...Buffer.from('testing')]);
  const inner = new Message().integer(1, 150);
  expect([...new Message().message(3, inner).finish()]).toEqual([0x1a, 3, 0x08, 0x96, 0x01]);
});

test('a model reads back as it was written', () => {
  const m = new OnnxModel();
  const x = m.input('x', 'f32', [2, 3]);
  const w = m.constant('w', 'f16', [3, 1], Float32Array.of(1, -0.5, 1 / 3));
  const axis = m.constant('axes', 'i64', [2], [-1, 2]);
  const far = m.constant('far', 'f32', [300, 4], { file: 'weights.bin', offset: 4096, bytes: 4800 });
  const y = m.node('MatMul', [x, w], {
    attributes: { axis: { int: -1 }, perm: { ints: [1, 0] }, mode: { text: 'linear' } },
  });
  m.node('MultiHeadAttention', [y, axis, far], {
    name: 'z',
    contrib: true,
    attributes: { num_heads: { int: 16 } },
  });
  m.output('z', 'f16', [2, 1]);
  const model = readModel(m.finish());
  assertConnected(model);
  expect(model.opsets).toEqual([
    ['', 20],
    ['com.microsoft', 1],
  ]);
  expect(model.nodes).toEqual([
    {
      op: 'MatMul',
      inputs: ['x', 'w'],
      outputs: [y],
      domain: '',
      attributes: { axis: -1, perm: [1, 0], mode: 'linear' },
    },
    {
      op: 'MultiHeadAttention',
      inputs: [y, 'axes', 'far'],
      outputs: ['z'],
      domain: 'com.microsoft',
      attributes: { num_heads: 16 },
    },
  ]);
  expect(model.inputs).toEqual([{ name: 'x', type: 1, shape: [2, 3] }]);
  expect(model.outputs).toEqual([{ name: 'z', type: 10, shape: [2, 1] }]);
  const weights = model.constants.get('w')!;
  expect(weights).toMatchObject({ shape: [3, 1], type: 10 });
  expect([...decodeF16(new Uint16Array(weights.raw!.slice().buffer))]).toEqual([1, -0.5, 0.333251953125]);
  expect([...new BigInt64Array(model.constants.get('axes')!.raw!.slice().buffer)]).toEqual([-1n, 2n]);
  expect(model.constants.get('far')).toMatchObject({
    shape: [300, 4],
    location: 1,
    external: { location: 'weights.bin', offset: '4096', length: '4800' },
  });
});

test('a GEMM of three repetitions: three products, whose first is read whole', () => {
  const work = { kind: 'gemm', rows: 2, depth: 3, columns: 4 } as const;
  const model = readModel(modelOf({ work, dtype: 'f32' }, 3));
  assertConnected(model);
  expect(model.nodes.map(({ op }) => op)).toEqual([
    'MatMul',
    'Slice',
    'MatMul',
    'Slice',
    'MatMul',
    'Slice',
    'Concat',
  ]);
  expect(model.inputs).toEqual([]);
  expect(model.outputs).toEqual([
    { name: 'y0', type: 1, shape: [2, 4] },
    { name: 'small', type: 1, shape: [3, 1] },
  ]);
  const x = model.constants.get('x')!;
  expect(new Float32Array(x.raw!.slice().buffer)).toEqual(operandOf(work).values);
});

/** As writeWeights gives it, without a file. */
function indexOf(work: BlockWork | TowerWork): WeightsIndex {
  const tensors = [...visionWeights(work)].map(([name, { shape }]) => [name, { shape, offset: 0, bytes: 4 }]);
  return { path: '/somewhere/weights.bin', dtype: 'f32', tensors: Object.fromEntries(tensors) };
}

test('a tower reads each weight once, by reference', () => {
  const work: TowerWork = { kind: 'tower', model: 'tiny', imageSize: 28, batch: 2 };
  const model = readModel(modelOf({ work, dtype: 'f32', weights: indexOf(work) }, 1));
  assertConnected(model);
  const stored = [...model.constants].filter(([, { location }]) => location === 1).map(([name]) => name);
  expect(stored.sort()).toEqual([...visionWeights(work).keys()].sort());
  const count = (op: string) => model.nodes.filter((node) => node.op === op).length;
  expect(['Conv', 'MatMul', 'MultiHeadAttention', 'LayerNormalization', 'Gelu'].map(count)).toEqual([
    1, 16, 4, 9, 4,
  ]);
  expect(model.inputs).toEqual([{ name: 'images', type: 1, shape: [2, 3, 28, 28] }]);
  expect(model.outputs.map(({ shape }) => shape)).toEqual([
    [2, 5, 128],
    [2, 1, 128],
  ]);
});

test('repeated blocks take the last result, and share weights', () => {
  const work: BlockWork = { kind: 'block', model: 'tiny', imageSize: 28, batch: 1 };
  const model = readModel(modelOf({ work, dtype: 'f16', weights: indexOf(work) }, 2));
  assertConnected(model);
  const heads = model.nodes.filter(({ op }) => op === 'MultiHeadAttention');
  expect(heads.map(({ attributes }) => attributes.num_heads)).toEqual([2, 2]);
  const norms = model.nodes.filter(({ op }) => op === 'LayerNormalization');
  expect(norms[2]!.inputs[0]).toBe('y0');
  expect(norms[2]!.inputs[1]).toBe(norms[0]!.inputs[1]);
});

test("attention is also written without ONNX Runtime's own operator", () => {
  const work: BlockWork = { kind: 'block', model: 'tiny', imageSize: 28, batch: 2 };
  const model = readModel(modelOf({ work, dtype: 'f16', way: 1, weights: indexOf(work) }, 2));
  assertConnected(model);
  expect(model.nodes.filter(({ domain }) => domain !== '')).toEqual([]);
  expect(model.nodes.filter(({ op }) => op === 'Softmax')).toHaveLength(2);
  expect([...decodeF16(new Uint16Array(model.constants.get('scale')!.raw!.slice().buffer))]).toEqual([0.125]);
});
