/** Every command, in the order of the help text. */
import type { BenchCommand } from '../command';
import { allCommand } from './all';
import { blockCommand } from './block';
import { ceilingCommand } from './ceiling';
import { compareCommand } from './compare';
import { folderCommand } from './folder';
import { goalsCommand } from './goals';
import { growthCommand } from './growth';
import { imageCommand } from './image';
import { kernelCommand } from './kernel';
import { kernelsCommand } from './kernels';
import { loadCommand } from './load';
import { peerEngineCommand } from './peer-engine';
import { peersCommand } from './peers';
import { rooflineCommand } from './roofline';
import { tableCommand } from './table';
import { trainCommand } from './train';
import { tuneCommand } from './tune';

export const commands: readonly BenchCommand[] = [
  allCommand,
  ceilingCommand,
  kernelsCommand,
  kernelCommand,
  blockCommand,
  imageCommand,
  trainCommand,
  folderCommand,
  growthCommand,
  loadCommand,
  peersCommand,
  peerEngineCommand,
  compareCommand,
  rooflineCommand,
  tableCommand,
  goalsCommand,
  tuneCommand,
];
