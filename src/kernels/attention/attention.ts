/**
 * Multi-head self-attention of packed projections (Vaswani et al. 2017, eq. 1), the T x T matrix never stored:
 *   y[b, t, h, :] = sum_s p[t, s] v[b, s, h, :],   p[t, :] = softmax_s(q[b, t, h, :] . k[b, s, h, :] / sqrt(d)), s <= t if causal
 * computed with a running maximum and sum (Milakov & Gimelshein 2018).
 *
 * Operand: qkv f32|f16 [B, T, 3 D], D = heads * d, laid out [q | k | v] as CLIP's in_proj gives it. Results: y like qkv with
 * D columns; with `saveLse` also lse f32 [B, heads, T], the log of each row's sum of exponentials, which backward needs.
 */
import { type Capabilities, foldGrid } from '../../runtime/capabilities';
import { MlaLpError, ShapeError } from '../../runtime/errors';
import type { Graph, Tensor } from '../../runtime/graph';
import { type Cannot, isCannot, type Op, type Variant } from '../../runtime/op';
import { BYTES, describe } from '../../runtime/tensor-type';
import blockedWgsl from './attention_blocked.wgsl';
import plainWgsl from './attention_plain.wgsl';
import quadsWgsl from './attention_quads.wgsl';
import registersWgsl from './attention_registers.wgsl';
import tiledWgsl from './attention_tiled.wgsl';
import { attentionBackwardOp } from './attention-backward';
import { pairsOf, QUAD_INCLUDES, quadLanes, quadObstacle, sizeObstacle, sizes } from './heads';
import { type AttentionAttrs, type AttentionCall, lowering } from './lowering';
import { matrixVariants } from './matrix';

export type { AttentionAttrs } from './lowering';

/** Queries and keys of a workgroup of `blocked`, and queries of an invocation. */
interface Tile {
  readonly queries: number;
  readonly keys: number;
  readonly each: number;
}

/** The tile whose kernel is tested on every case. */
const SMALLEST: Tile = { queries: 32, keys: 16, each: 2 };

/** In the order of preference: the first that fits a device's workgroup memory is chosen. */
const TILES: readonly Tile[] = [
  { queries: 32, keys: 32, each: 4 },
  SMALLEST,
  { queries: 64, keys: 32, each: 4 },
];

function blockedObstacle(call: AttentionCall, tile: Tile, caps: Capabilities): Cannot | undefined {
  const { size } = sizes(call);
  const bytes =
    (tile.queries + tile.keys) * (size + 4) * BYTES[call.inputs[0]!.dtype] + tile.queries * tile.keys * 5;
  if (bytes > caps.maxWorkgroupStorage) return { cannot: `it takes ${bytes} bytes of workgroup memory` };
  return sizeObstacle(size, 4, 128);
}

const blockedName = ({ queries, keys }: Tile) => `blocked_${queries}x${keys}`;

function blockedVariant(tile: Tile): Variant<AttentionAttrs> {
  const { queries: QUERIES, keys: KEYS, each: TQ } = tile;
  const name = blockedName(tile);
  return {
    name,
    ...(tile !== SMALLEST && { sibling: blockedName(SMALLEST) }),
    lower(call, caps) {
      const { batch, tokens, heads, size } = sizes(call);
      const QUADS = size / 4;
      const [WX, WY, STRIDE] = [KEYS / 4, QUERIES / TQ, QUADS + 1];
      const TD = Math.ceil(QUADS / WX);
      const constants = {
        ...{ QUADS, QUERIES, KEYS, WX, WY, THREADS: WX * WY, TQ, TD, HELD: TQ * TD, STRIDE },
        ...{ Q_CELLS: QUERIES * STRIDE, KV_CELLS: KEYS * STRIDE, CELLS: QUERIES * WX },
      };
      const workgroups = [Math.ceil(tokens / QUERIES), heads, batch] as const;
      const use = { wgsl: blockedWgsl, constants, workgroups };
      return blockedObstacle(call, tile, caps) ?? lowering(call, name, use, caps);
    },
  };
}

export const attentionOp: Op<AttentionAttrs> = {
  name: 'attention',

  infer([qkv], { heads, saveLse }) {
    const shape = qkv?.shape ?? [];
    if (!qkv || qkv.dtype === 'u32' || shape.length !== 3 || shape[2]! % (3 * heads) !== 0) {
      throw new ShapeError(
        `attention takes qkv [B, T, 3 * ${heads} * d], not ${qkv ? describe(qkv) : 'nothing'}.`,
      );
    }
    const [batch, tokens, width3] = shape as readonly [number, number, number];
    const y = { dtype: qkv.dtype, shape: [batch, tokens, width3 / 3] };
    return saveLse ? [y, { dtype: 'f32', shape: [batch, heads, tokens] }] : [y];
  },

  variants: [
    {
      name: 'plain',
      lower(call, caps) {
        const { batch, tokens, heads, size } = sizes(call);
        const workgroups = foldGrid(Math.ceil((batch * heads * tokens) / 64), caps);
        const constants = { BATCH: batch, SIZE: size };
        return lowering(call, 'plain', { wgsl: plainWgsl, constants, workgroups }, caps);
      },
    },
    {
      name: 'registers',
      lower(call, caps) {
        const { batch, tokens, heads, size } = sizes(call);
        const workgroups = [Math.ceil(tokens / 32), heads, batch] as const;
        const use = { wgsl: registersWgsl, constants: { QUADS: size / 4 }, workgroups };
        return sizeObstacle(size, 4, 128) ?? lowering(call, 'registers', use, caps);
      },
    },
    {
      name: 'tiled',
      lower(call, caps) {
        const { batch, tokens, heads, size } = sizes(call);
        const most = Math.floor(caps.maxWorkgroupStorage / (2 * 16 * 16)) * 4;
        const obstacle = sizeObstacle(size, 4, Math.min(most, 128));
        const workgroups = [Math.ceil(tokens / 64), heads, batch] as const;
        const constants = { QUADS: size / 4, SLICE: 4 * size };
        return obstacle ?? lowering(call, 'tiled', { wgsl: tiledWgsl, constants, workgroups }, caps);
      },
    },
    ...TILES.map((tile) => blockedVariant(tile)),
    {
      name: 'quads',
      lower(call, caps) {
        const { batch, tokens, heads, size } = sizes(call);
        const LANES = quadLanes(caps);
        const workgroups = [Math.ceil(tokens / LANES), heads, batch] as const;
        const constants = { QUADS: size / 4, PARTS: size / 16, LANES };
        const use = { wgsl: quadsWgsl, includes: QUAD_INCLUDES, constants, workgroups };
        return quadObstacle(size, 128, caps) ?? lowering(call, 'quads', use, caps);
      },
    },
    ...matrixVariants,
  ],

  choose(call, caps) {
    const { size, tokens } = sizes(call);
    if (size % 4 !== 0 || size > 128) return 'plain';
    const fits = 2 * 16 * size * 4 <= caps.maxWorkgroupStorage;
    // Loads shared by four queries: two to three times as fast as `registers` on SwiftShader and four times on lavapipe, compiled
    // in half the time (T = 77, 290, heads of 64; 2 shared cores, November 2026).
    if (caps.software && !quadObstacle(size, 128, caps)) return 'quads';
    if (caps.software) return 'registers';
    // Unmeasured on GPUs, as what follows. Operands in f16 lose nothing there (weights of keys are rounded to f16); fewer than 16 tokens leave most of a tile empty, and larger
    // tiles are for the autotuner.
    const matrix = matrixVariants.find(({ lower }) => !isCannot(lower(call, caps)));
    if (matrix && call.inputs[0]!.dtype === 'f16' && tokens >= 16) return matrix.name;
    // Per multiply-add `blocked` reads a half to a third of what `tiled` reads from workgroup memory, and holds
    // a third of its registers; 32 queries still give 290 tokens of 16 heads 160 workgroups. Larger tiles are for the autotuner.
    const tile = TILES.find((one) => !blockedObstacle(call, one, caps));
    if (tile) return blockedName(tile);
    return fits ? 'tiled' : 'registers';
  },

  flops(call) {
    const { batch, tokens, heads, size } = sizes(call);
    return 4 * batch * heads * pairsOf(tokens, call.attrs.causal) * size;
  },

  // `attention_backward` has the derivation. It needs y and lse: without `saveLse` both are computed once more.
  backward({ graph, attrs, input, output, outputGradients: [dy, dlse], needed }) {
    if (dlse) {
      throw new MlaLpError(
        'bad-value',
        'attention has no gradient of its lse, and something differentiable reads it.',
        'Use lse for backward only.',
      );
    }
    if (!needed[0]) return [undefined];
    const qkv = input(0);
    const { heads, causal, saveLse } = attrs;
    const [y, lse] = saveLse
      ? [output(0), output(1)]
      : (graph.apply(attentionOp, [qkv], { ...attrs, saveLse: true }) as [Tensor, Tensor]);
    return graph.apply(attentionBackwardOp, [qkv, y, dy!, lse], { heads, causal });
  },
};

export interface AttentionOptions {
  readonly heads: number;
  readonly causal?: boolean;
  /** Keeps what backward needs beside y; without it, backward computes attention once more. For training graphs. */
  readonly saveLse?: boolean;
}

/** Self-attention of packed projections; qkv [B, T, 3 D] -> [B, T, D]. */
export function attention(
  g: Graph,
  qkv: Tensor,
  { heads, causal = false, saveLse = false }: AttentionOptions,
): Tensor {
  return g.apply(attentionOp, [qkv], { heads, causal, saveLse })[0]!;
}
