/** How attention's kernels on matrix units, forward and backward, divide a tile among subgroups. */
import type { Capabilities } from '../../runtime/capabilities';
import type { Cannot } from '../../runtime/op';
import { BYTES, type TensorType } from '../../runtime/tensor-type';
import { type MatrixUnits, matrixUnits } from '../matrix-units';
import { sizeObstacle } from './heads';

/** Rows of a workgroup, columns of the scores that it takes at a time, and subgroups along columns and rows: the first that fit are taken. */
export interface MatrixTile {
  readonly rows: number;
  readonly columns: number;
  readonly splits: readonly (readonly [GX: number, GY: number])[];
}

export interface Division {
  readonly units: MatrixUnits;
  /** Elements that a line of a tile is longer than its contents: 16 bytes. */
  readonly pad: number;
  /** Constants that the kernels name alike. */
  readonly constants: Readonly<Record<string, number>>;
}

export const matrixName = ({ rows, columns }: MatrixTile) => `matrix_${rows}x${columns}`;

/** The first of a tile's splits, and the first configuration in it, of which nothing is left over. @param op whose tile it is. */
export function divide(
  op: string,
  qkv: TensorType,
  size: number,
  tile: MatrixTile,
  caps: Capabilities,
): Division | Cannot {
  const { rows, columns, splits } = tile;
  if (caps.refused?.includes(`${op} ${matrixName(tile)}`))
    return { cannot: 'it computed wrongly on this device' };
  const obstacle = sizeObstacle(size, 4, 128);
  if (obstacle) return obstacle;
  let cannot: Cannot | undefined;
  for (const [GX, GY] of splits) {
    const units = matrixUnits(caps, [qkv], ({ M, N, K }) =>
      [rows % (GY * M), columns % (GX * N), size % (GX * N), size % K, columns % K].every(
        (rest) => rest === 0,
      ),
    );
    if ('cannot' in units) {
      cannot ??= units;
      continue;
    }
    const { config, type, lanes: LANES } = units;
    const [FM, FN, FK, subgroups] = [config.M, config.N, config.K, GX * GY];
    const THREADS = subgroups * LANES;
    const LOADS = (columns * (size / 4)) / THREADS;
    if (THREADS > Math.min(caps.maxInvocations, caps.maxWorkgroupSizeX) || LOADS % 1 !== 0) {
      cannot ??= { cannot: `${subgroups} subgroups of ${LANES} are too many` };
      continue;
    }
    const [RM, RO, STEPS] = [rows / GY / FM, size / GX / FN, size / FK];
    return {
      units,
      pad: 16 / BYTES[type],
      constants: {
        ...{ QUADS: size / 4, GX, GY, LANES, THREADS, FM, FN, FK, LOADS },
        ...{ RM, RS: columns / GX / FN, RO, STEPS, HELD: RM * STEPS, RESULTS: RM * RO },
        ...{ ROWS: rows / subgroups, EACH: Math.ceil(columns / LANES) },
      },
    };
  }
  return cannot!;
}

export function memoryObstacle(bytes: number, caps: Capabilities): Cannot | undefined {
  return bytes > caps.maxWorkgroupStorage
    ? { cannot: `it takes ${bytes} bytes of workgroup memory` }
    : undefined;
}
