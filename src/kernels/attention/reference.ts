import type { OpCall } from '../../runtime/op';
import type { AttentionAttrs } from './attention';
import type { AttentionBackwardAttrs } from './attention-backward';

export function attentionReference(
  [qkv]: readonly Float64Array[],
  call: OpCall<AttentionAttrs>,
): Float64Array[] {
  const { heads, causal, saveLse } = call.attrs;
  const [batch, tokens, width3] = call.inputs[0]!.shape as readonly [number, number, number];
  const width = width3 / 3;
  const size = width / heads;
  const y = new Float64Array(batch * tokens * width);
  const lse = new Float64Array(batch * heads * tokens);
  for (let b = 0; b < batch; b++) {
    for (let h = 0; h < heads; h++) {
      const at = (t: number, part: number) => (b * tokens + t) * width3 + part * width + h * size;
      for (let t = 0; t < tokens; t++) {
        const keys = causal ? t + 1 : tokens;
        const scores = Array.from({ length: keys }, (_, s) => {
          let dot = 0;
          for (let c = 0; c < size; c++) dot += qkv![at(t, 0) + c]! * qkv![at(s, 1) + c]!;
          return dot / Math.sqrt(size);
        });
        const peak = scores.reduce((a, b) => Math.max(a, b));
        const weights = scores.map((s) => Math.exp(s - peak));
        const total = weights.reduce((a, b) => a + b);
        lse[(b * heads + h) * tokens + t] = peak + Math.log(total);
        for (let c = 0; c < size; c++) {
          let sum = 0;
          for (let s = 0; s < keys; s++) sum += weights[s]! * qkv![at(s, 2) + c]!;
          y[(b * tokens + t) * width + h * size + c] = sum / total;
        }
      }
    }
  }
  return saveLse ? [y, lse] : [y];
}

/** The formulas of `attention-backward.ts` on whole rows; y and lse are taken as given. */
export function attentionBackwardReference(
  [qkv, y, dy, lse]: readonly Float64Array[],
  call: OpCall<AttentionBackwardAttrs>,
): Float64Array[] {
  const { heads, causal } = call.attrs;
  const [batch, tokens, width3] = call.inputs[0]!.shape as readonly [number, number, number];
  const width = width3 / 3;
  const size = width / heads;
  const dqkv = new Float64Array(qkv!.length);
  for (let b = 0; b < batch; b++) {
    for (let h = 0; h < heads; h++) {
      const at = (t: number, part: number) => (b * tokens + t) * width3 + part * width + h * size;
      for (let t = 0; t < tokens; t++) {
        const out = (b * tokens + t) * width + h * size;
        let delta = 0;
        for (let c = 0; c < size; c++) delta += dy![out + c]! * y![out + c]!;
        for (let s = 0; s < (causal ? t + 1 : tokens); s++) {
          let score = 0;
          let dp = 0;
          for (let c = 0; c < size; c++) {
            score += (qkv![at(t, 0) + c]! * qkv![at(s, 1) + c]!) / Math.sqrt(size);
            dp += dy![out + c]! * qkv![at(s, 2) + c]!;
          }
          const p = Math.exp(score - lse![(b * heads + h) * tokens + t]!);
          const ds = (p * (dp - delta)) / Math.sqrt(size);
          for (let c = 0; c < size; c++) {
            dqkv[at(t, 0) + c]! += ds * qkv![at(s, 1) + c]!;
            dqkv[at(s, 1) + c]! += ds * qkv![at(t, 0) + c]!;
            dqkv[at(s, 2) + c]! += p * dy![out + c]!;
          }
        }
      }
    }
  }
  return [dqkv];
}
