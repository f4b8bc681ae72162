/** What the variants of attention's gradient share: attributes of a call and the two dispatches. */
import type { Capabilities } from '../../runtime/capabilities';
import type { Lowering, OpCall } from '../../runtime/op';
import { type Dtype, tensorType } from '../../runtime/tensor-type';
import { sizes } from './heads';

export interface AttentionBackwardAttrs {
  readonly heads: number;
  readonly causal: boolean;
}

export type AttentionBackwardCall = OpCall<AttentionBackwardAttrs>;

/** What a pair of kernels has of its own. */
export interface KernelPair {
  readonly queries: string;
  readonly keys: string;
  /** The block that makes one text the keys' kernel; then both texts are one. */
  readonly keysFlag?: string;
  readonly includes?: Readonly<Record<string, string>>;
  readonly constants: Readonly<Record<string, number>>;
  readonly types?: Readonly<Record<string, Dtype>>;
  readonly workgroups: readonly [number, number, number];
}

export function lowering(
  call: AttentionBackwardCall,
  variant: string,
  { queries, keys, keysFlag, includes, constants, types, workgroups }: KernelPair,
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
    types: { T: call.inputs[0]!.dtype, ...types },
    // `registers` rolled on CPUs: SwiftShader then compiles a pair of kernels in 0.3 s for 3.5 s, and runs them at 0.6 of the
    // speed: a gain in runs of up to some 30 steps (two shared cores, November 2026).
    unroll: /^(quads|blocked)/.test(variant) || !caps.software,
    workgroups,
  };
  const bindings = {
    qkv: { input: 0 },
    dy: { input: 2 },
    lse: { input: 3 },
    delta: { scratch: 0 },
    dqkv: { output: 0 },
  };
  const kernel = (half: string, wgsl: string) => ({
    name: `attention_backward_${variant}_${half}`,
    wgsl,
    ...(includes && { includes }),
  });
  return {
    variant,
    scratch: [tensorType('f32', [batch, heads, tokens])],
    dispatches: [
      { ...shared, kernel: kernel('queries', queries), bindings: { ...bindings, y: { input: 1 } } },
      { ...shared, kernel: kernel('keys', keys), bindings, ...(keysFlag && { flags: [keysFlag] }) },
    ],
  };
}
