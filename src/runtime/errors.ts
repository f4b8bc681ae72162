/**
 * Every failure that a user can meet is a class with a stable `code`, the fact, and the next step (`remedy`).
 * `message` holds both, so that printing an error is enough.
 */
export type ErrorCode =
  | 'no-adapter'
  | 'unsupported-feature'
  | 'limit-exceeded'
  | 'out-of-memory'
  | 'device-lost'
  | 'gpu-error'
  | 'bad-shape'
  | 'bad-value'
  | 'bad-file'
  | 'bad-image'
  | 'bad-option'
  | 'network'
  | 'aborted';

export class MlaLpError extends Error {
  /** @param fact what happened, naming file, tensor or limit. @param remedy what the user can do next. */
  constructor(
    readonly code: ErrorCode,
    readonly fact: string,
    readonly remedy: string,
    options?: { cause?: unknown },
  ) {
    super(remedy ? `${fact} ${remedy}` : fact, options);
    this.name = new.target.name;
  }
}

/** No WebGPU adapter could be had. */
export class NoAdapterError extends MlaLpError {
  constructor(fact: string, remedy: string, options?: { cause?: unknown }) {
    super('no-adapter', fact, remedy, options);
  }
}

/** The adapter lacks an optional feature that was asked for (f16 for instance). */
export class UnsupportedFeatureError extends MlaLpError {
  constructor(fact: string, remedy: string) {
    super('unsupported-feature', fact, remedy);
  }
}

/** A limit of the device is too small; `need` and `have` are in the limit's own unit. */
export class LimitError extends MlaLpError {
  constructor(
    readonly limit: string,
    readonly need: number,
    readonly have: number,
    remedy: string,
  ) {
    super('limit-exceeded', `${limit}: ${need} is needed, this device has ${have}.`, remedy);
  }
}

export class OutOfMemoryError extends MlaLpError {
  constructor(fact: string, options?: { cause?: unknown }) {
    super(
      'out-of-memory',
      fact,
      'Use a smaller batch, --precision f16, or a device with more memory.',
      options,
    );
  }
}

/** The device was lost or destroyed: every pending call rejects with this. */
export class DeviceLostError extends MlaLpError {
  constructor(fact: string) {
    super('device-lost', fact, 'Open a new device with openDevice() and load the model again.');
  }
}

/** The implementation refused something we sent (validation, internal): a bug of ours unless the driver is at fault. */
export class GpuError extends MlaLpError {
  constructor(fact: string, options?: { cause?: unknown }) {
    super('gpu-error', fact, 'Please report this with the output of `mla-lp doctor`.', options);
  }
}

/** Shapes or dtypes that do not fit together; found while a graph is built, before any GPU work. */
export class ShapeError extends MlaLpError {
  constructor(fact: string, remedy = '') {
    super('bad-shape', fact, remedy);
  }
}

/** A number that may not enter or leave the model: NaN, infinity, out of range. */
export class ValueError extends MlaLpError {
  constructor(fact: string, remedy: string) {
    super('bad-value', fact, remedy);
  }
}

/** A file that cannot be read as what it claims to be. `offset` is in bytes where one is known. */
export class BadFileError extends MlaLpError {
  constructor(
    readonly file: string,
    detail: string,
    remedy = 'Fetch or export the file again.',
    readonly offset?: number,
    options?: { cause?: unknown },
  ) {
    super(
      'bad-file',
      `${file}: ${detail}${offset === undefined ? '' : ` (at byte ${offset})`}.`,
      remedy,
      options,
    );
  }
}

/** An image that cannot be decoded or used. */
export class BadImageError extends MlaLpError {
  constructor(
    readonly file: string,
    detail: string,
    remedy = 'Convert it to PNG and try again.',
    options?: { cause?: unknown },
  ) {
    super('bad-image', `${file}: ${detail}.`, remedy, options);
  }
}

/** A wrong option or argument of a command or function. */
export class OptionError extends MlaLpError {
  constructor(fact: string, remedy = '') {
    super('bad-option', fact, remedy);
  }
}

/** A download that failed. */
export class NetworkError extends MlaLpError {
  constructor(fact: string, remedy: string, options?: { cause?: unknown }) {
    super('network', fact, remedy, options);
  }
}

/** The caller's AbortSignal fired. */
export class AbortedError extends MlaLpError {
  constructor(fact = 'The operation was aborted.') {
    super('aborted', fact, '');
  }
}
