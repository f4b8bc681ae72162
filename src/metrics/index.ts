/** Metrics of detection: numbers in, numbers out. */
export type { BootstrapOptions } from './bootstrap';
export { type Calibration, type CalibrationRule, calibrate, parseCalibrationRule } from './calibrate';
export type { Curve, Estimate, OperatingPoint, PixelMetrics, RankingMetrics } from './metrics';
export type { PixelImage, PixelImages } from './pixel-passes';
export { type PixelOptions, pixelMetrics } from './pixels';
export { auroc, type RankingOptions, rankingMetrics } from './ranking';
