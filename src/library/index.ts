/** mla-lp: abnormality detection in medical images on WebGPU kernels. Not a medical device. */
export { auroc, PixelAuroc } from '../data/auroc';
export type { RgbImage } from '../data/image';
export { makePhantom, modalities, type Phantom, type PhantomOptions } from '../data/phantoms';
export { Clip } from '../model/clip';
export type { ClipConfig } from '../model/clip-config';
export type { Detection, Method } from '../model/detector';
export { fixedPrompts, objectNames, type PromptSet, parsePrompts } from '../model/prompts';
export { type TokenizeOptions, tokenize } from '../model/tokenizer';
export { type ColormapName, colormap, colormapNames, type OverlayOptions, overlayHeatmap } from '../report';
export type { AdapterChoice, AdapterPreference } from '../runtime/adapter';
export type { Gpu, Precision } from '../runtime/device';
export * from '../runtime/errors';
export { type LoadClipOptions, loadClip, type WeightsInput } from './load-clip';
export { type DetectOutcome, MlaLp, type MlaLpOptions } from './mla-lp';
export { openDevice } from './open-device';
export type { ImageInput } from './platform';
