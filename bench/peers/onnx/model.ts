/** Builds ONNX models (github.com/onnx/onnx, onnx.proto3: field numbers and enums) as bytes. */
import { encodeF16 } from '../../../src/runtime/float16';
import { Message } from './protobuf';

/** TensorProto.DataType. */
const TYPES = { f32: 1, i64: 7, f16: 10 } as const;
type ElementType = keyof typeof TYPES;

/** AttributeProto.AttributeType. */
const ATTRIBUTE = { float: 1, int: 2, string: 3, ints: 7 } as const;

export type Attribute =
  | { readonly int: number }
  | { readonly ints: readonly number[] }
  | { readonly text: string };

/** Where a tensor's values lie: in the model, or in a file beside it. */
export type TensorData =
  | Float32Array
  | readonly number[]
  | { readonly file: string; readonly offset: number; readonly bytes: number };

const IR_VERSION = 8;
/** 20 is the first with Gelu. */
const OPSET = 20;
/** ONNX Runtime's own operators: MultiHeadAttention. */
const CONTRIB = 'com.microsoft';

export class OnnxModel {
  readonly #nodes: Message[] = [];
  readonly #initializers: Message[] = [];
  readonly #inputs: Message[] = [];
  readonly #outputs: Message[] = [];
  #names = 0;

  input(name: string, type: ElementType, shape: readonly number[]): string {
    this.#inputs.push(valueInfo(name, type, shape));
    return name;
  }

  output(name: string, type: ElementType, shape: readonly number[]): void {
    this.#outputs.push(valueInfo(name, type, shape));
  }

  /** A constant. f16 values are rounded from f32 unless they lie in a file, which holds them as they are. */
  constant(name: string, type: ElementType, shape: readonly number[], data: TensorData): string {
    const tensor = new Message();
    for (const size of shape) tensor.integer(1, size);
    tensor.integer(2, TYPES[type]).text(8, name);
    if ('file' in data) {
      const entry = (key: string, value: string) =>
        tensor.message(13, new Message().text(1, key).text(2, value));
      entry('location', data.file);
      entry('offset', String(data.offset));
      entry('length', String(data.bytes));
      tensor.integer(14, 1);
    } else {
      tensor.bytes(9, rawData(type, data));
    }
    this.#initializers.push(tensor);
    return name;
  }

  /** @returns the name of its one result: `name`, or a new one. */
  node(
    op: string,
    inputs: readonly string[],
    { name, attributes = {}, contrib = false }: NodeOptions = {},
  ): string {
    const result = name ?? `${op}_${this.#names++}`;
    this.#nodes.push(nodeOf(op, inputs, [result], attributes, contrib));
    return result;
  }

  /** A node with several results. */
  split(inputs: readonly string[], count: number, attributes: Readonly<Record<string, Attribute>>): string[] {
    const results = Array.from({ length: count }, () => `Split_${this.#names++}`);
    this.#nodes.push(nodeOf('Split', inputs, results, attributes, false));
    return results;
  }

  finish(): Uint8Array<ArrayBuffer> {
    const graph = new Message();
    for (const node of this.#nodes) graph.message(1, node);
    graph.text(2, 'mla-lp-bench');
    for (const tensor of this.#initializers) graph.message(5, tensor);
    for (const input of this.#inputs) graph.message(11, input);
    for (const output of this.#outputs) graph.message(12, output);
    return new Message()
      .integer(1, IR_VERSION)
      .text(2, 'mla-lp-bench')
      .message(7, graph)
      .message(8, new Message().text(1, '').integer(2, OPSET))
      .message(8, new Message().text(1, CONTRIB).integer(2, 1))
      .finish();
  }
}

export interface NodeOptions {
  readonly name?: string;
  readonly attributes?: Readonly<Record<string, Attribute>>;
  /** One of ONNX Runtime's own. */
  readonly contrib?: boolean;
}

function nodeOf(
  op: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: Readonly<Record<string, Attribute>>,
  contrib: boolean,
): Message {
  const node = new Message();
  for (const input of inputs) node.text(1, input);
  for (const output of outputs) node.text(2, output);
  node.text(3, outputs[0]!).text(4, op);
  for (const [name, value] of Object.entries(attributes)) {
    const attribute = new Message().text(1, name);
    if ('int' in value) attribute.integer(3, value.int).integer(20, ATTRIBUTE.int);
    else if ('text' in value) attribute.text(4, value.text).integer(20, ATTRIBUTE.string);
    else {
      for (const one of value.ints) attribute.integer(8, one);
      attribute.integer(20, ATTRIBUTE.ints);
    }
    node.message(5, attribute);
  }
  if (contrib) node.text(7, CONTRIB);
  return node;
}

function valueInfo(name: string, type: ElementType, shape: readonly number[]): Message {
  const dimensions = new Message();
  for (const size of shape) dimensions.message(1, new Message().integer(1, size));
  const tensor = new Message().integer(1, TYPES[type]).message(2, dimensions);
  return new Message().text(1, name).message(2, new Message().message(1, tensor));
}

function rawData(type: ElementType, data: Float32Array | readonly number[]): Uint8Array {
  if (type === 'i64') return new Uint8Array(BigInt64Array.from(data, BigInt).buffer);
  const values = Float32Array.from(data);
  const stored = type === 'f16' ? encodeF16(values) : values;
  return new Uint8Array(stored.buffer, stored.byteOffset, stored.byteLength);
}
