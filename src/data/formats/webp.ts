/** Size of a WebP picture and whether its container is whole (RFC 9649). */
import { BadImageError } from '../../runtime/errors';
import { COPY_AGAIN, checkDimensions, type DecodeLimits } from '../limits';

/** @throws BadImageError when the container is cut off, its chunks lie, or the picture is over the limits. */
export function readWebp(
  bytes: Uint8Array,
  name: string,
  limits: DecodeLimits,
): { width: number; height: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const bad = (detail: string) => new BadImageError(name, detail, COPY_AGAIN);
  if (bytes.length < 30) throw bad('the WebP ends inside its header');
  const fileEnd = 8 + view.getUint32(4, true);
  if (fileEnd > bytes.length) throw bad(`the WebP says ${fileEnd} bytes, the file has ${bytes.length}`);
  let size: { width: number; height: number } | null = null;
  let picture = false;
  for (let at = 12; at + 8 <= fileEnd; ) {
    const type = String.fromCharCode(...bytes.subarray(at, at + 4));
    const length = view.getUint32(at + 4, true);
    const body = at + 8;
    if (body + length > fileEnd) throw bad(`WebP chunk at byte ${at} runs past the end of the file`);
    if (type === 'VP8X' && length >= 10) {
      size ??= { width: 1 + uint24(view, body + 4), height: 1 + uint24(view, body + 7) };
    } else if (type === 'VP8 ' && length >= 10) {
      size ??= {
        width: view.getUint16(body + 6, true) & 0x3fff,
        height: view.getUint16(body + 8, true) & 0x3fff,
      };
      picture = true;
    } else if (type === 'VP8L' && length >= 5) {
      const packed = view.getUint32(body + 1, true);
      size ??= { width: 1 + (packed & 0x3fff), height: 1 + ((packed >>> 14) & 0x3fff) };
      picture = true;
    } else if (type === 'ANMF') {
      picture = true;
    }
    at = body + length + (length & 1);
  }
  if (!size || !picture) throw bad('the WebP holds no picture');
  checkDimensions(name, size.width, size.height, limits);
  return size;
}

function uint24(view: DataView, at: number): number {
  return view.getUint16(at, true) | (view.getUint8(at + 2) << 16);
}
