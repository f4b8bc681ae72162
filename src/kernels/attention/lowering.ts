/** What the variants of attention share: attributes of a call and the dispatch. */
import type { Capabilities } from '../../runtime/capabilities';
import type { Lowering, OpCall, Operand } from '../../runtime/op';
import type { Dtype } from '../../runtime/tensor-type';
import { chokesOnUnrolling, sizes } from './heads';

export interface AttentionAttrs {
  readonly heads: number;
  readonly causal: boolean;
  readonly saveLse: boolean;
}

export type AttentionCall = OpCall<AttentionAttrs>;

/** What a kernel has of its own. */
export interface KernelUse {
  /** Of the template; the variant's name may tell more. */
  readonly kernel?: string;
  readonly wgsl: string;
  readonly includes?: Readonly<Record<string, string>>;
  readonly constants: Readonly<Record<string, number>>;
  readonly types?: Readonly<Record<string, Dtype>>;
  readonly workgroups: readonly [number, number, number];
}

export function lowering(call: AttentionCall, variant: string, use: KernelUse, caps: Capabilities): Lowering {
  const { tokens, heads, size } = sizes(call);
  const { causal, saveLse } = call.attrs;
  const { kernel = variant, wgsl, includes, constants, types, workgroups } = use;
  const bindings: Record<string, Operand> = { qkv: { input: 0 }, y: { output: 0 } };
  if (saveLse) bindings.lse = { output: 1 };
  return {
    variant,
    dispatches: [
      {
        kernel: { name: `attention_${kernel}`, wgsl, ...(includes && { includes }) },
        constants: { TOKENS: tokens, HEADS: heads, SCALE: 1 / Math.sqrt(size), CAUSAL: causal, ...constants },
        types: { T: call.inputs[0]!.dtype, ...types },
        flags: saveLse ? ['LSE'] : [],
        // Rolled, `blocked` is wrong on lavapipe: arrays indexed by loops are mixed up between invocations at barriers (Mesa 25.0.7).
        unroll: /^(quads|blocked)/.test(variant) || !chokesOnUnrolling(caps),
        bindings,
        workgroups,
      },
    ],
  };
}
