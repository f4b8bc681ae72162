/** An 8-bit RGB image, row-major, three bytes a pixel: what every decoder gives and every resampler takes. */
export interface RgbImage {
  readonly width: number;
  readonly height: number;
  /** width * height * 3 bytes. */
  readonly data: Uint8Array<ArrayBuffer>;
}
