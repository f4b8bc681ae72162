/**
 * Cosine distance to the nearest row of a memory bank (paper, section 3.4), or of one tile of it:
 *   y[n] = min(prev[n], min_r (1 - cos(q_n, b_r))),   cos(q, b) = q . b / max(|q|, 1e-8)
 *
 * Operands: q f32|f16 [B, T, C]; bank f32|f16 [R, C], whose rows have length 1 (or are zero: cosine 0); prev f32
 * [B, T - skip] if any: the distances to the tiles before. The first `skip` rows of each of the B are left out (class
 * tokens). Result: y f32 [B, T - skip], 0..2 up to rounding. A chain over tiles takes banks of any size in one dispatch
 * pair a tile.
 *
 * A GEMM whose epilogue is a maximum: dot products never leave registers; what is stored is the largest of each strip of
 * the bank, and a second dispatch takes the largest of those. Dot products and norms are f32. Maxima do not depend on order
 * and each dot product has a fixed one, so results repeat bit by bit.
 */
import { type Capabilities, foldGrid } from '../../runtime/capabilities';
import { ShapeError } from '../../runtime/errors';
import type { Graph, Tensor } from '../../runtime/graph';
import type { Cannot, Dispatch, Lowering, Op, OpCall } from '../../runtime/op';
import { describe, tensorType } from '../../runtime/tensor-type';
import finishWgsl from './nearest_finish.wgsl';
import plainWgsl from './nearest_plain.wgsl';
import registersWgsl from './nearest_registers.wgsl';
import tiledWgsl from './nearest_tiled.wgsl';

export interface NearestDistanceAttrs {
  /** Rows at the start of each of the B that are no queries: 1 for a class token. */
  readonly skip: number;
}

type Call = OpCall<NearestDistanceAttrs>;

/** Bank rows that a workgroup walks; a multiple of what any variant takes at once. More where there would be many strips. */
const STRIP = 512;
const MOST_STRIPS = 128;

interface Sizes {
  readonly QUERIES: number;
  readonly KEPT: number;
  readonly SKIP: number;
  readonly R: number;
  readonly C: number;
  readonly STRIP: number;
}

function sizes({ inputs, attrs }: Call): Sizes & { strips: number } {
  const [batch, tokens, C] = inputs[0]!.shape as [number, number, number];
  const KEPT = tokens - attrs.skip;
  const R = inputs[1]!.shape[0]!;
  const strip = STRIP * Math.ceil(R / (STRIP * MOST_STRIPS));
  const strips = Math.ceil(R / strip);
  return { QUERIES: batch * KEPT, KEPT, SKIP: attrs.skip, R, C, STRIP: strip, strips };
}

interface Search {
  readonly name: string;
  readonly wgsl: string;
  readonly constants?: Record<string, number>;
  readonly workgroups: readonly [number, number, number];
  /** Shares of a strip, each with a maximum of its own. */
  readonly shares?: number;
}

function lowering(call: Call, caps: Capabilities, search: Search): Lowering {
  const { strips, ...constants } = sizes(call);
  const { QUERIES, KEPT, SKIP, C } = constants;
  const parts = strips * (search.shares ?? 1);
  const [q, bank, prev] = call.inputs;
  const first: Dispatch = {
    kernel: { name: `nearest_${search.name}`, wgsl: search.wgsl },
    constants: { ...constants, ...search.constants },
    types: { Q: q!.dtype, B: bank!.dtype },
    bindings: { q: { input: 0 }, bank: { input: 1 }, part: { scratch: 0 } },
    workgroups: search.workgroups,
  };
  const second: Dispatch = {
    kernel: { name: 'nearest_finish', wgsl: finishWgsl },
    constants: { QUERIES, KEPT, SKIP, C, PARTS: parts },
    types: { Q: q!.dtype },
    flags: prev ? ['PREV'] : [],
    bindings: {
      q: { input: 0 },
      part: { scratch: 0 },
      ...(prev && { prev: { input: 2 } }),
      y: { output: 0 },
    },
    workgroups: foldGrid(Math.ceil(QUERIES / 64), caps),
  };
  return {
    variant: search.name,
    scratch: [tensorType('f32', [parts, QUERIES])],
    dispatches: [first, second],
  };
}

/** Why vec4 loads along C are impossible, if they are. */
function vec4Obstacle(call: Call): Cannot | undefined {
  const { C } = sizes(call);
  return C % 4 === 0 ? undefined : { cannot: `C = ${C} is not a multiple of 4` };
}

function gridObstacle(rows: number, call: Call, caps: Capabilities): Cannot | undefined {
  const worst = Math.max(rows, sizes(call).strips);
  return worst > caps.maxWorkgroupsPerDimension
    ? { cannot: `it needs ${worst} workgroups along an axis` }
    : undefined;
}

/** Query rows and bank rows that an invocation of `registers` holds: as `gemm` measured for CPU adapters. */
function registerTile(call: Call, caps: Capabilities): { TM: number; TN: number } {
  const side = caps.subgroupMaxSize >= 8 ? 4 : 8;
  return { TM: sizes(call).QUERIES >= side ? side : 1, TN: side };
}

export const nearestDistanceOp: Op<NearestDistanceAttrs> = {
  name: 'nearest_distance',

  infer(inputs, { skip }) {
    const [q, bank, prev] = inputs;
    const [batch, tokens, C] = q?.shape ?? [];
    const floats = q?.dtype !== 'u32' && bank?.dtype !== 'u32';
    if (!floats || q?.shape.length !== 3 || bank?.shape.length !== 2 || inputs.length > 3) {
      throw new ShapeError(
        `nearest_distance takes q [B, T, C] and bank [R, C], f32 or f16, and prev, not ${inputs.map(describe).join(', ')}.`,
      );
    }
    if (bank.shape[1] !== C) {
      throw new ShapeError(`nearest_distance: bank must be [R, ${C}], not ${describe(bank)}.`);
    }
    if (!Number.isInteger(skip) || skip < 0 || skip >= tokens!) {
      throw new ShapeError(`nearest_distance: ${skip} of ${tokens} tokens cannot be left out.`);
    }
    const y = tensorType('f32', [batch!, tokens! - skip]);
    if (prev && describe(prev) !== describe(y)) {
      throw new ShapeError(`nearest_distance: prev must be ${describe(y)}, not ${describe(prev)}.`);
    }
    return [y];
  },

  variants: [
    {
      name: 'plain',
      lower(call, caps) {
        const { QUERIES, strips } = sizes(call);
        return lowering(call, caps, {
          name: 'plain',
          wgsl: plainWgsl,
          constants: { STRIPS: strips },
          workgroups: foldGrid(Math.ceil((QUERIES * strips) / 64), caps),
        });
      },
    },
    {
      name: 'registers',
      lower(call, caps) {
        const { QUERIES, strips } = sizes(call);
        const { TM, TN } = registerTile(call, caps);
        const rows = Math.ceil(QUERIES / TM);
        return (
          vec4Obstacle(call) ??
          gridObstacle(rows, call, caps) ??
          lowering(call, caps, {
            name: 'registers',
            wgsl: registersWgsl,
            constants: { TM, TN, TILE: TM * TN, WX: 8 },
            workgroups: [strips, rows, 1],
            shares: 8,
          })
        );
      },
    },
    {
      name: 'tiled',
      lower(call, caps) {
        const { QUERIES, strips } = sizes(call);
        const rows = Math.ceil(QUERIES / 64);
        return (
          vec4Obstacle(call) ??
          gridObstacle(rows, call, caps) ??
          lowering(call, caps, { name: 'tiled', wgsl: tiledWgsl, workgroups: [strips, rows, 1] })
        );
      },
    },
  ],

  choose(call, caps) {
    const { QUERIES, R } = sizes(call);
    const rows = Math.ceil(QUERIES / registerTile(call, caps).TM);
    if (vec4Obstacle(call) || gridObstacle(rows, call, caps)) return 'plain';
    // Barriers are dear on CPUs; and a tile of 64 x 64 wastes most of its work on a few rows.
    return !caps.software && QUERIES >= 16 && R >= 16 ? 'tiled' : 'registers';
  },

  flops(call) {
    const { QUERIES, R, C } = sizes(call);
    return 2 * QUERIES * (R + 1) * C;
  },
};

/**
 * Distances f32 [B, T - skip] of q [B, T, C] to the nearest row of all `tiles` [R, C] of a bank.
 * @param prev distances to tiles searched before.
 */
export function nearestDistance(
  g: Graph,
  q: Tensor,
  tiles: readonly Tensor[],
  { skip, prev }: NearestDistanceAttrs & { readonly prev?: Tensor },
): Tensor {
  if (tiles.length === 0) throw new ShapeError('nearest_distance: a bank has at least one tile.');
  let nearest = prev;
  for (const tile of tiles) {
    nearest = g.apply(nearestDistanceOp, nearest ? [q, tile, nearest] : [q, tile], { skip })[0]!;
  }
  return nearest!;
}
