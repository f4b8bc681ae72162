/**
 * Where weights come from, whatever the file format: names, shapes, and ranged reads. The model reads tensor by tensor,
 * so that a 1.7 GB checkpoint never sits in JavaScript memory.
 */

/** Element types as safetensors spells them. */
export type StoredDtype =
  | 'BOOL'
  | 'U8'
  | 'I8'
  | 'U16'
  | 'I16'
  | 'U32'
  | 'I32'
  | 'U64'
  | 'I64'
  | 'F16'
  | 'BF16'
  | 'F32'
  | 'F64';

export interface TensorInfo {
  readonly name: string;
  readonly dtype: StoredDtype;
  /** Row-major; [] is a scalar. */
  readonly shape: readonly number[];
}

export interface TensorSource {
  /** What messages call it: a file name, a URL, "synthetic:vitl14". */
  readonly label: string;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /** Free-form strings kept beside the tensors (safetensors' `__metadata__`). */
  readonly metadata: ReadonlyMap<string, string>;
  /**
   * Elements [start, end) of the tensor in row-major order, widened or rounded to f32.
   * @throws BadFileError when the name is unknown or the bytes cannot be had.
   */
  read(name: string, start?: number, end?: number): Promise<Float32Array<ArrayBuffer>>;
  /**
   * The same elements as the binary16 bits that are stored, where they are stored so and in this order; else nothing, and `read`
   * serves. Weights that stay f16 are then neither widened nor rounded.
   */
  readHalves?(name: string, start: number, end: number): Promise<Uint16Array<ArrayBuffer>> | undefined;
  /**
   * Takes back what a read gave, so that its memory serves later reads: fresh memory costs the system more than filling it. The
   * caller must not use it any more.
   */
  recycle?(values: Float32Array<ArrayBuffer> | Uint16Array<ArrayBuffer>): void;
  /** Frees what was taken back. */
  trim?(): void;
  close(): Promise<void>;
}

/** Number of elements of a shape. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, n) => product * n, 1);
}
