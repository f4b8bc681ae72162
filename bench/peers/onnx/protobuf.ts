/** Writes protocol buffers: the few wire types that ONNX needs (protobuf.dev/programming-guides/encoding). */

/** A message as its fields' bytes, in order. */
export class Message {
  readonly #parts: Uint8Array[] = [];
  #bytes = 0;

  /** Any integer field: int64, enum. */
  integer(field: number, value: number): this {
    return this.#push(varint(field * 8), varint(value));
  }

  /** A float field. */
  float(field: number, value: number): this {
    return this.#push(varint(field * 8 + 5), new Uint8Array(Float32Array.of(value).buffer));
  }

  bytes(field: number, value: Uint8Array): this {
    return this.#push(varint(field * 8 + 2), varint(value.length), value);
  }

  text(field: number, value: string): this {
    return this.bytes(field, new TextEncoder().encode(value));
  }

  message(field: number, value: Message): this {
    this.#push(varint(field * 8 + 2), varint(value.#bytes));
    return this.#push(...value.#parts);
  }

  /** Everything in one array. */
  finish(): Uint8Array<ArrayBuffer> {
    const whole = new Uint8Array(this.#bytes);
    let at = 0;
    for (const part of this.#parts) {
      whole.set(part, at);
      at += part.length;
    }
    return whole;
  }

  #push(...parts: readonly Uint8Array[]): this {
    for (const part of parts) {
      this.#parts.push(part);
      this.#bytes += part.length;
    }
    return this;
  }
}

/** Base 128, low groups first; negative numbers as 64-bit two's complement. */
export function varint(value: number): Uint8Array {
  if (!Number.isSafeInteger(value))
    throw new RangeError(`${value} is no whole number that a varint can hold`);
  let rest = BigInt.asUintN(64, BigInt(value));
  const bytes: number[] = [];
  do {
    const group = Number(rest & 0x7fn);
    rest >>= 7n;
    bytes.push(rest > 0n ? group | 0x80 : group);
  } while (rest > 0n);
  return Uint8Array.from(bytes);
}
