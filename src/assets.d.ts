/** Packed data files are imported as bytes (esbuild's binary loader; the same in vitest.config.ts). */
declare module '*.gz' {
  const bytes: Uint8Array<ArrayBuffer>;
  export default bytes;
}
