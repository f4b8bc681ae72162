/** WGSL files are imported as text (esbuild's text loader; a small plugin in vitest.config.ts). */
declare module '*.wgsl' {
  const source: string;
  export default source;
}

/** The package's own `main` is CommonJS in a module package; this file is the one that Node can import. */
declare module 'wgsl_reflect/wgsl_reflect.module.js' {
  export * from 'wgsl_reflect';
}
