/** mla-lp/runtime: the WebGPU engine without any model. */
export * from './adapter';
export * from './buffer-store';
export * from './capabilities';
export * from './device';
export * from './errors';
export * from './executable';
export * from './float16';
export * from './gradients';
export * from './graph';
export * from './op';
export * from './plan';
export * from './random';
export * from './reflect';
export * from './specialise';
export * from './tensor-type';
export * from './tuned';
