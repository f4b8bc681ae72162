/**
 * A static, typed graph of operations. Building it touches no GPU: shapes are checked at once, with the op and the shapes
 * in the message.
 */
import { ShapeError } from './errors';
import type { Op } from './op';
import { type Dtype, describe, sizeOf, type TensorType, tensorType } from './tensor-type';

/** Where a tensor's bytes come from. `view` shares another tensor's bytes under a new shape. */
export type TensorOrigin = 'input' | 'weight' | 'node' | 'view';

export class Tensor {
  constructor(
    readonly graph: Graph,
    readonly id: number,
    readonly type: TensorType,
    readonly origin: TensorOrigin,
    readonly name: string,
    readonly producer?: GraphNode,
    readonly base?: Tensor,
  ) {}

  get shape(): readonly number[] {
    return this.type.shape;
  }

  get dtype(): Dtype {
    return this.type.dtype;
  }

  /** The tensor that owns the bytes. */
  get storage(): Tensor {
    return this.base ? this.base.storage : this;
  }
}

export interface GraphNode {
  readonly id: number;
  readonly label: string;
  readonly op: Op<unknown>;
  readonly attrs: unknown;
  readonly inputs: readonly Tensor[];
  readonly outputs: Tensor[];
}

export class Graph {
  readonly nodes: GraphNode[] = [];
  readonly inputs = new Map<string, Tensor>();
  readonly weights = new Map<string, Tensor>();
  readonly outputs = new Map<string, Tensor>();
  #ids = 0;
  #scope: string[] = [];

  /** A tensor that every run uploads. */
  input(name: string, dtype: Dtype, shape: readonly number[]): Tensor {
    return this.#named(this.inputs, 'input', name, dtype, shape);
  }

  /** A tensor that lives in the weight store; the same name gives the same tensor. */
  weight(name: string, dtype: Dtype, shape: readonly number[]): Tensor {
    const known = this.weights.get(name);
    if (known) {
      if (describe(known.type) !== describe(tensorType(dtype, shape))) {
        throw new ShapeError(`Weight ${name} is used as ${describe(known.type)} and as ${dtype}[${shape}].`);
      }
      return known;
    }
    return this.#named(this.weights, 'weight', name, dtype, shape);
  }

  /** Applies an op. @throws ShapeError when the operands do not fit it. */
  apply<A>(op: Op<A>, inputs: readonly Tensor[], attrs: A): Tensor[] {
    const label = [...this.#scope, op.name].join('/');
    for (const input of inputs) {
      if (input.graph !== this) throw new ShapeError(`${label}: an operand belongs to another graph.`);
    }
    for (const i of op.writes ?? []) {
      const operand = inputs[i];
      if (operand?.storage.origin !== 'weight') {
        throw new ShapeError(`${label} changes operand ${i} in place, so it must be a weight.`);
      }
    }
    let types: TensorType[];
    try {
      types = op.infer(
        inputs.map((t) => t.type),
        attrs,
      );
    } catch (error) {
      if (!(error instanceof ShapeError)) throw error;
      const operands = inputs.map((t) => `${t.name} ${describe(t.type)}`).join(', ');
      throw new ShapeError(`${label}: ${error.fact} Operands: ${operands}.`, error.remedy);
    }
    const node: GraphNode = {
      id: this.nodes.length,
      label,
      op: op as unknown as Op<unknown>,
      attrs,
      inputs: [...inputs],
      outputs: [],
    };
    for (const type of types) {
      node.outputs.push(new Tensor(this, this.#ids++, type, 'node', `${label}#${node.id}`, node));
    }
    this.nodes.push(node);
    return [...node.outputs];
  }

  /** The same bytes under another shape of equal size. */
  reshape(tensor: Tensor, shape: readonly number[]): Tensor {
    const type = tensorType(tensor.dtype, shape);
    if (sizeOf(type) !== sizeOf(tensor.type)) {
      throw new ShapeError(
        `Cannot view ${tensor.name} ${describe(tensor.type)} as [${shape}]: the sizes differ.`,
      );
    }
    return new Tensor(this, this.#ids++, type, 'view', tensor.name, tensor.producer, tensor);
  }

  /** Names a tensor that a run can read back. */
  output(name: string, tensor: Tensor): void {
    if (this.outputs.has(name)) throw new ShapeError(`The graph has two outputs named ${name}.`);
    if (tensor.storage.origin !== 'node') {
      throw new ShapeError(`Output ${name} is an input or a weight: nothing computes it.`);
    }
    this.outputs.set(name, tensor);
  }

  /** Labels nodes made inside `build` with a prefix, for listings and profiles. */
  scope<T>(name: string, build: () => T): T {
    this.#scope.push(name);
    try {
      return build();
    } finally {
      this.#scope.pop();
    }
  }

  #named(
    map: Map<string, Tensor>,
    origin: 'input' | 'weight',
    name: string,
    dtype: Dtype,
    shape: readonly number[],
  ): Tensor {
    if (map.has(name)) throw new ShapeError(`The graph has two ${origin}s named ${name}.`);
    const tensor = new Tensor(this, this.#ids++, tensorType(dtype, shape), origin, name);
    map.set(name, tensor);
    return tensor;
  }
}
