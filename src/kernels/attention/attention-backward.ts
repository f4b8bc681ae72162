/**
 * Gradient of attention by its packed projections, the T x T matrix never stored (FlashAttention-2's backward, Dao 2023,
 * section 3.1.2): p[t, s] = exp(q_t . k_s / sqrt(d) - lse_t) is made anew from the saved log-sum-exp. With
 * dp[t, s] = dy_t . v_s and delta_t = dy_t . y_t = sum_s p[t, s] dp[t, s], softmax's gradient is
 *   ds[t, s] = p[t, s] (dp[t, s] - delta_t);
 *   dq_t = sum_s ds[t, s] k_s / sqrt(d),   dk_s = sum_t ds[t, s] q_t / sqrt(d),   dv_s = sum_t p[t, s] dy_t.
 * One dispatch over the queries (delta, dq), one over the keys (dk, dv): each sum has one owner, so no atomics, and the
 * result repeats bit by bit.
 *
 * Operands: qkv f32|f16 [B, T, 3 D]; y and dy like it [B, T, D]; lse f32 [B, heads, T], as attention's `saveLse` gives it.
 * Result: dqkv like qkv. Sums are f32. A score is bounded by its row's lse, as it is but for rounding.
 */

import { foldGrid } from '../../runtime/capabilities';
import { ShapeError } from '../../runtime/errors';
import { isCannot, type Op, type Variant } from '../../runtime/op';
import { BYTES, describe, tensorType } from '../../runtime/tensor-type';
import blockedKeysWgsl from './attention_backward_blocked_keys.wgsl';
import blockedQueriesWgsl from './attention_backward_blocked_queries.wgsl';
import plainKeysWgsl from './attention_backward_plain_keys.wgsl';
import plainQueriesWgsl from './attention_backward_plain_queries.wgsl';
import quadsKeysWgsl from './attention_backward_quads_keys.wgsl';
import quadsQueriesWgsl from './attention_backward_quads_queries.wgsl';
import registersKeysWgsl from './attention_backward_registers_keys.wgsl';
import registersQueriesWgsl from './attention_backward_registers_queries.wgsl';
import tiledKeysWgsl from './attention_backward_tiled_keys.wgsl';
import tiledQueriesWgsl from './attention_backward_tiled_queries.wgsl';
import { pairsOf, QUAD_INCLUDES, quadLanes, quadObstacle, sizeObstacle, sizes } from './heads';
import { type AttentionBackwardAttrs, lowering } from './lowering-backward';
import { matrixBackwardVariants } from './matrix-backward';

export type { AttentionBackwardAttrs } from './lowering-backward';

/** Rows (queries or keys) of a workgroup of `blocked`, what it sweeps over at a time, and rows of an invocation. */
interface Tile {
  readonly rows: number;
  readonly slice: number;
  readonly each: number;
}

function blockedVariant(tile: Tile, sibling?: string): Variant<AttentionBackwardAttrs> {
  const { rows: ROWS, slice: SLICE, each: TR } = tile;
  const name = `blocked_${ROWS}x${SLICE}`;
  return {
    name,
    ...(sibling && { sibling }),
    lower(call, caps) {
      const { batch, tokens, heads, size } = sizes(call);
      const bytes = 2 * (ROWS + SLICE) * (size + 4) * BYTES[call.inputs[0]!.dtype] + 8 * ROWS * SLICE;
      if (bytes > caps.maxWorkgroupStorage) return { cannot: `it takes ${bytes} bytes of workgroup memory` };
      const QUADS = size / 4;
      const [WX, WY, STRIDE] = [SLICE / 4, ROWS / TR, QUADS + 1];
      const TD = Math.ceil(QUADS / WX);
      const constants = {
        ...{ QUADS, ROWS, SLICE, WX, WY, THREADS: WX * WY, TR, TD, HELD: TR * TD, STRIDE },
        ...{ ROW_CELLS: ROWS * STRIDE, SLICE_CELLS: SLICE * STRIDE, CELLS: ROWS * WX },
      };
      const workgroups = [Math.ceil(tokens / ROWS), heads, batch] as const;
      const use = { queries: blockedQueriesWgsl, keys: blockedKeysWgsl, constants, workgroups };
      return sizeObstacle(size, 4, 128) ?? lowering(call, name, use, caps);
    },
  };
}

export const attentionBackwardOp: Op<AttentionBackwardAttrs> = {
  name: 'attention_backward',

  infer([qkv, y, dy, lse], { heads }) {
    const shape = qkv?.shape ?? [];
    if (!qkv || qkv.dtype === 'u32' || shape.length !== 3 || shape[2]! % (3 * heads) !== 0) {
      throw new ShapeError(
        `attention_backward takes qkv [B, T, 3 * ${heads} * d], not ${qkv ? describe(qkv) : 'nothing'}.`,
      );
    }
    const [batch, tokens, width3] = shape as readonly [number, number, number];
    const like = describe(tensorType(qkv.dtype, [batch, tokens, width3 / 3]));
    for (const [name, type] of Object.entries({ y, dy })) {
      if (!type || describe(type) !== like) {
        throw new ShapeError(
          `attention_backward: ${name} must be ${like}, not ${type ? describe(type) : 'nothing'}.`,
        );
      }
    }
    const sums = describe(tensorType('f32', [batch, heads, tokens]));
    if (!lse || describe(lse) !== sums) {
      throw new ShapeError(
        `attention_backward: lse must be ${sums}, not ${lse ? describe(lse) : 'nothing'}.`,
      );
    }
    return [qkv];
  },

  variants: [
    {
      name: 'plain',
      lower(call, caps) {
        const { batch, tokens, heads, size } = sizes(call);
        const workgroups = foldGrid(Math.ceil((batch * heads * tokens) / 64), caps);
        const constants = { BATCH: batch, SIZE: size };
        const use = { queries: plainQueriesWgsl, keys: plainKeysWgsl, constants, workgroups };
        return lowering(call, 'plain', use, caps);
      },
    },
    {
      name: 'registers',
      lower(call, caps) {
        const { batch, tokens, heads, size } = sizes(call);
        const workgroups = [Math.ceil(tokens / 32), heads, batch] as const;
        const constants = { QUADS: size / 4 };
        const use = { queries: registersQueriesWgsl, keys: registersKeysWgsl, constants, workgroups };
        return sizeObstacle(size, 4, 128) ?? lowering(call, 'registers', use, caps);
      },
    },
    {
      name: 'tiled',
      lower(call, caps) {
        const { batch, tokens, heads, size } = sizes(call);
        const workgroups = [Math.ceil(tokens / 32), heads, batch] as const;
        const constants = { QUADS: size / 4, HALF: size / 8, SLICE: 2 * size };
        const use = { queries: tiledQueriesWgsl, keys: tiledKeysWgsl, constants, workgroups };
        // 12 KiB of workgroup memory at the largest size: every device has that.
        return sizeObstacle(size, 8, 128) ?? lowering(call, 'tiled', use, caps);
      },
    },
    blockedVariant({ rows: 32, slice: 16, each: 2 }),
    blockedVariant({ rows: 32, slice: 32, each: 4 }, 'blocked_32x16'),
    {
      name: 'quads',
      lower(call, caps) {
        const { batch, tokens, heads, size } = sizes(call);
        const LANES = quadLanes(caps);
        const workgroups = [Math.ceil(tokens / LANES), heads, batch] as const;
        const constants = { QUADS: size / 4, PARTS: size / 16, LANES };
        const texts = { queries: quadsQueriesWgsl, keys: quadsKeysWgsl, includes: QUAD_INCLUDES };
        // Wider heads take CPU adapters half a minute to compile.
        return (
          quadObstacle(size, 96, caps) ?? lowering(call, 'quads', { ...texts, constants, workgroups }, caps)
        );
      },
    },
    ...matrixBackwardVariants,
  ],

  choose(call, caps) {
    const { size, tokens } = sizes(call);
    if (size % 4 !== 0 || size > 128) return 'plain';
    // Five times as fast as `registers` (T = 50, 77, 290, heads of 32 and 64; SwiftShader and lavapipe). SwiftShader compiles for 0.2
    // to 1 s more, which less work would win back in hundreds of runs only (2 shared cores, November 2026).
    if (caps.software && !quadObstacle(size, 96, caps) && this.flops(call) >= 2e6) return 'quads';
    // Unmeasured on GPUs, as forward, and for the same operands.
    const matrix = matrixBackwardVariants.find(({ lower }) => !isCannot(lower(call, caps)));
    if (!caps.software && matrix && call.inputs[0]!.dtype === 'f16' && tokens >= 16) return matrix.name;
    // `blocked` reads two thirds of what `tiled` reads from workgroup memory, but fills 28 KiB of it with 64 invocations: unmeasured on
    // GPUs, it is left to the autotuner.
    return caps.software || size % 8 !== 0 ? 'registers' : 'tiled';
  },

  flops(call) {
    const { batch, tokens, heads, size } = sizes(call);
    return 14 * batch * heads * pairsOf(tokens, call.attrs.causal) * size;
  },
};
