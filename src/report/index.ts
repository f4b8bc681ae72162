export { type ColormapName, colormap, colormapNames, defaultColormap } from './colormap';
export { type ContourOptions, mapContour, maskContour } from './contour';
export { type EvaluationPageOptions, evaluationPage } from './evaluation/page';
export type { EvaluationPicture, PictureSource } from './evaluation/pictures';
export { type Report, type ReportItem, reportPage } from './html';
export { mapRange, type OverlayOptions, overlayHeatmap, resampleMap } from './overlay';
export { fitWithin, REPORT_SIDE, reportPictures } from './pictures';
export type { SliceCurve } from './slice-curve';
