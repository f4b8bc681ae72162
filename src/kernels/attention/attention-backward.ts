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

import type { Capabilities } from '../../runtime/capabilities';
import { foldGrid } from '../../runtime/capabilities';
import { ShapeError } from '../../runtime/errors';
import type { Lowering, Op, OpCall, Variant } from '../../runtime/op';
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

export interface AttentionBackwardAttrs {
  readonly heads: number;
  readonly causal: boolean;
}

function lowering(
  call: OpCall<AttentionBackwardAttrs>,
  variant: string,
  [queriesWgsl, keysWgsl]: readonly [string, string],
  constants: Record<string, number>,
  workgroups: readonly [number, number, number],
  caps: Capabilities,
): Lowering {
  const { batch, tokens, heads, size } = sizes(call);
  const shared = {
    constants: {
      TOKENS: tokens,
      HEADS: heads,
      SCALE: 1 / Math.sqrt(size),
      CAUSAL: call.attrs.causal,
      ...constants,
    },
    types: { T: call.inputs[0]!.dtype },
    // `registers` rolled on CPUs: SwiftShader then compiles a pair of kernels in 0.3 s for 3.5 s, and runs them at 0.6 of the
    // speed: a gain in runs of up to some 30 steps (two shared cores, November 2026).
    unroll: /^(quads|blocked)/.test(variant) || !caps.software,
    workgroups,
  };
  const includes = variant === 'quads' && { includes: QUAD_INCLUDES };
  const bindings = {
    qkv: { input: 0 },
    dy: { input: 2 },
    lse: { input: 3 },
    delta: { scratch: 0 },
    dqkv: { output: 0 },
  };
  return {
    variant,
    scratch: [tensorType('f32', [batch, heads, tokens])],
    dispatches: [
      {
        ...shared,
        kernel: { name: `attention_backward_${variant}_queries`, wgsl: queriesWgsl, ...includes },
        bindings: { ...bindings, y: { input: 1 } },
      },
      {
        ...shared,
        kernel: { name: `attention_backward_${variant}_keys`, wgsl: keysWgsl, ...includes },
        bindings,
      },
    ],
  };
}

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
      const texts = [blockedQueriesWgsl, blockedKeysWgsl] as const;
      const grid = [Math.ceil(tokens / ROWS), heads, batch] as const;
      return sizeObstacle(size, 4, 128) ?? lowering(call, name, texts, constants, grid, caps);
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
        const grid = foldGrid(Math.ceil((batch * heads * tokens) / 64), caps);
        const constants = { BATCH: batch, SIZE: size };
        return lowering(call, 'plain', [plainQueriesWgsl, plainKeysWgsl], constants, grid, caps);
      },
    },
    {
      name: 'registers',
      lower(call, caps) {
        const { batch, tokens, heads, size } = sizes(call);
        const texts = [registersQueriesWgsl, registersKeysWgsl] as const;
        const grid = [Math.ceil(tokens / 32), heads, batch] as const;
        return (
          sizeObstacle(size, 4, 128) ?? lowering(call, 'registers', texts, { QUADS: size / 4 }, grid, caps)
        );
      },
    },
    {
      name: 'tiled',
      lower(call, caps) {
        const { batch, tokens, heads, size } = sizes(call);
        const texts = [tiledQueriesWgsl, tiledKeysWgsl] as const;
        const grid = [Math.ceil(tokens / 32), heads, batch] as const;
        const constants = { QUADS: size / 4, HALF: size / 8, SLICE: 2 * size };
        // 12 KiB of workgroup memory at the largest size: every device has that.
        return sizeObstacle(size, 8, 128) ?? lowering(call, 'tiled', texts, constants, grid, caps);
      },
    },
    blockedVariant({ rows: 32, slice: 16, each: 2 }),
    blockedVariant({ rows: 32, slice: 32, each: 4 }, 'blocked_32x16'),
    {
      name: 'quads',
      lower(call, caps) {
        const { batch, tokens, heads, size } = sizes(call);
        const texts = [quadsQueriesWgsl, quadsKeysWgsl] as const;
        const LANES = quadLanes(caps);
        const grid = [Math.ceil(tokens / LANES), heads, batch] as const;
        const constants = { QUADS: size / 4, PARTS: size / 16, LANES };
        // Wider heads take CPU adapters half a minute to compile.
        return quadObstacle(size, 96, caps) ?? lowering(call, 'quads', texts, constants, grid, caps);
      },
    },
  ],

  choose(call, caps) {
    const { size } = sizes(call);
    if (size % 4 !== 0 || size > 128) return 'plain';
    // Five times as fast as `registers` (T = 50, 77, 290, heads of 32 and 64; SwiftShader and lavapipe). SwiftShader compiles for 0.2
    // to 1 s more, which less work would win back in hundreds of runs only (2 shared cores, November 2026).
    if (caps.software && !quadObstacle(size, 96, caps) && this.flops(call) >= 2e6) return 'quads';
    // `blocked` reads two thirds of what `tiled` reads from workgroup memory, but fills 28 KiB of it with 64 invocations: unmeasured on
    // GPUs, it is left to the autotuner.
    return caps.software || size % 8 !== 0 ? 'registers' : 'tiled';
  },

  flops(call) {
    const { batch, tokens, heads, size } = sizes(call);
    return 14 * batch * heads * pairsOf(tokens, call.attrs.causal) * size;
  },
};
