/**
 * A place for activations that training computes once and reads every epoch: beyond some hundred images they are more than
 * memory should hold. It is a cache of one process; nothing of it outlives `close`.
 */
export interface Spill {
  /**
   * Keeps one entry, replacing what the index held. The bytes must not change before the promise resolves.
   * @param index a whole number from 0.
   * @throws MlaLpError when there is no room.
   */
  write(index: number, bytes: Uint8Array): Promise<void>;
  /**
   * The entry's bytes, in a buffer of their own.
   * @throws BadFileError when the entry was never written or cannot be read back whole.
   */
  read(index: number): Promise<Uint8Array<ArrayBuffer>>;
  /** Frees everything. Calling it again does nothing. */
  close(): Promise<void>;
}
