/** mla-lp: abnormality detection in medical images on WebGPU kernels. Not a medical device. */
export type { RgbImage } from '../data/image';
export { makePhantom, modalities, type Phantom, type PhantomOptions } from '../data/phantoms';
export type { GrayWindow, SliceGrid, Volume, VolumeOptions } from '../data/volume';
export type { SavedCalibration } from '../evaluation/calibration';
export { type Judgement, judge } from '../evaluation/judge';
export type { EvaluationRecord, Protocol } from '../evaluation/record';
export { modelChunks, trainingStateChunks } from '../io/training-state';
export * from '../metrics';
export { Clip } from '../model/clip';
export type { ClipConfig } from '../model/clip-config';
export type { Detection, MemoryDistances, Method } from '../model/detector';
export { fixedPrompts, objectNames, type PromptSet, parsePrompts } from '../model/prompts';
export { type TokenizeOptions, tokenize } from '../model/tokenizer';
export { type ColormapName, colormap, colormapNames, type OverlayOptions, overlayHeatmap } from '../report';
export type { AdapterChoice, AdapterPreference } from '../runtime/adapter';
export type { Gpu, Precision } from '../runtime/device';
export * from '../runtime/errors';
export type { TrainingState } from '../training/state';
export type { StepRecord, Trainer } from '../training/trainer';
export { AprilGan, type AprilGanOptions } from './april-gan';
export type { DetectionModel, DetectOutcome } from './detect-each';
export {
  type EvaluateOptions,
  type EvaluationImage,
  evaluate,
  rawHeader,
  type ScoreOptions,
  scoreImages,
} from './evaluate';
export { type LoadClipOptions, loadClip, type WeightsInput } from './load-clip';
export { type LoadModelOptions, loadModel, type ModelMethod } from './load-model';
export type { BankImages, BankInput } from './memory-bank';
export { MlaLp, type MlaLpOptions } from './mla-lp';
export { type OpenDeviceOptions, openDevice } from './open-device';
export { useOpenJpeg } from './open-jpeg';
export type { ImageInput, LazyImage } from './platform';
export { createTrainer, imageIdentity, type TrainingImage, type TrainOptions } from './train';
export { openVolume, volumeSlices } from './volume';
export { WinClip, type WinClipOptions } from './winclip';
