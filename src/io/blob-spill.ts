/** Spilled activations where there is no file system: browsers keep large Blobs on disk. */
import type { Spill } from '../model/spill';
import { BadFileError, MlaLpError } from '../runtime/errors';

const LABEL = 'spilled activations';

/** A spill that keeps one Blob an entry. Nothing of it is left when the page goes. */
export function blobSpill(): Spill {
  let entries: Map<number, Blob> | undefined = new Map();
  const opened = () => {
    if (!entries) throw new BadFileError(LABEL, 'they were freed already', '');
    return entries;
  };
  return {
    async write(index, bytes) {
      const into = opened();
      try {
        // A Blob copies its parts; those of shared memory it would refuse.
        into.set(index, new Blob([bytes as Uint8Array<ArrayBuffer>]));
      } catch (cause) {
        const fact = `The browser has no room for entry ${index} of the ${LABEL}.`;
        throw new MlaLpError('bad-file', fact, 'Free some space on the disk, or train on fewer images.', {
          cause,
        });
      }
    },
    async read(index) {
      const blob = opened().get(index);
      if (!blob) throw new BadFileError(LABEL, `entry ${index} was never written`, '');
      try {
        return new Uint8Array(await blob.arrayBuffer());
      } catch (cause) {
        const remedy = 'The disk may be full: free some space and start again.';
        throw new BadFileError(LABEL, `entry ${index} cannot be read back`, remedy, undefined, { cause });
      }
    },
    async close() {
      entries = undefined;
    },
  };
}
