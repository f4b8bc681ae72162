/** mla-lp/kernels: every operation, for people who only want the engine. Build with mla-lp/runtime's Graph. */
export * from './activation/activation';
export * from './assemble-prompts/assemble-prompts';
export * from './attention/attention';
export * from './class-sum/class-sum';
export * from './cosine-logits/cosine-logits';
export * from './gather-rows/gather-rows';
export * from './gemm/gemm';
export * from './l2-normalize/l2-normalize';
export * from './layer-norm/layer-norm';
export * from './patch-embed/patch-embed';
export * from './reduce/reduce';
export * from './resize-bilinear/resize-bilinear';
export * from './softmax/softmax';
export * from './suite';
export * from './suites';
export * from './tolerance';
export * from './weighted-sum/weighted-sum';
