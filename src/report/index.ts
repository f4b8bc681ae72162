export { type ColormapName, colormap, colormapNames, defaultColormap } from './colormap';
export { type Report, type ReportItem, reportPage } from './html';
export { mapRange, type OverlayOptions, overlayHeatmap } from './overlay';
export { fitWithin, REPORT_SIDE, reportPictures } from './pictures';
