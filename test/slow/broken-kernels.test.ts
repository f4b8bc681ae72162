/** The correctness test can fail: for each op a kernel with one thing wrong is caught by the same comparison. */
import { expect, test } from 'vitest';
import { suites } from '../../src/kernels/suites';
import { isCannot, type KernelSource, type Op } from '../../src/runtime/op';
import { openTestGpu } from '../helpers/gpu';
import { callOf, mismatchOf, referenceOf, runCase, usesF16 } from '../kernels/run-case';

const gpu = await openTestGpu();

/** [op, variant, right, wrong]: the first `right` of the kernel, or of what it includes, is replaced. */
const faults: readonly (readonly [op: string, variant: string, right: string, wrong: string])[] = [
  ['patchify', 'plain', '+ gx * P + px', '+ gx * P + py'],
  ['patchify', 'plain', 'gy * P + py', 'gx * P + py'],
  ['assemble_tokens', 'plain', 'image * P + token - 1u', 'image * P + token'],
  ['assemble_tokens', 'plain', 'v += class_embedding[d];', ''],
  ['assemble_prompts', 'plain', 'place <= M', 'place < M'],
  ['assemble_prompts', 'plain', 'place >= 1u && ', ''],
  ['assemble_prompts', 'plain', 'prompt < SPLIT', 'prompt <= SPLIT'],
  ['assemble_prompts', 'plain', '(prompt - SPLIT) * M', 'prompt * M'],
  ['assemble_prompts_backward', 'plain', 'FIRST + i', 'i'],
  ['assemble_prompts_backward', 'plain', '1u + (i / W)', '(i / W)'],
  ['layer_norm', 'plain', '- mean) * scale', '+ mean) * scale'],
  ['layer_norm', 'workgroup', 'half > 0u', 'half > 1u'],
  ['layer_norm', 'subgroup', 'subgroupAdd(squares)', 'squares'],
  ['layer_norm', 'subgroup', 'dot(sum, vec4<f32>(1.0f))', 'sum.x'],
  ['layer_norm_backward', 'plain', '- g_mean', ''],
  ['layer_norm_backward', 'plain', '* scale * scale', '* scale'],
  ['layer_norm_backward', 'plain', 'v += f32(addend[start + c]);', ''],
  ['layer_norm_backward', 'workgroup', '- means.y', '- means.x'],
  ['layer_norm_backward', 'workgroup', 'partial[SIZE + local + half]', 'partial[local + half]'],
  ['layer_norm_backward', 'subgroup', 'subgroupAdd(second)', 'second'],
  ['layer_norm_backward', 'subgroup', '- means.y - d', '- means.x - d'],
  ['layer_norm_backward', 'subgroup', 'v += vec4<f32>(addend[start + c]);', ''],
  ['gemm', 'plain', 'k < K', 'k < K - 1u'],
  ['gemm', 'plain', 'OWN * v', 'v'],
  ['gemm', 'plain', 'REST * f32(residual', 'f32(residual'],
  ['gemm', 'plain', 'row * HALF + col - HALF]', 'row * HALF + col]'],
  ['gemm', 'registers', 'k < K / 4u', 'k < K / 4u - 1u'],
  ['gemm', 'tiled', 'slice < end', 'slice + BK < end'],
  ['gemm', 'registers', 'a[i] * b[q]', 'a[q] * b[q]'],
  ['gemm', 'registers', 'k * 4u + i', 'k * 4u'],
  ['gemm', 'registers', 'a[3] * b[3u * QN + q]', 'a[3] * b[2u * QN + q]'],
  ['gemm', 'registers', 'min(row / 4u + p, M / 4u - 1u)', 'row / 4u'],
  ['gemm', 'tiled', 'slice + BK, end', 'slice, end'],
  ['gemm', 'tiled', 'col0 + i % (BN / 4u) * 4u', 'i % (BN / 4u) * 4u'],
  ['gemm', 'tiled', 'b_tile[at + c * B_LINE][line % 4u]', 'b_tile[at + c * B_LINE][c]'],
  ['gemm', 'tiled', 'a[p][i] * b', 'a[p][0] * b'],
  ['gemm', 'tiled', 'part + row, col + n', 'part + row, col'],
  ['gemm', 'tiled', '(row * HALF + col - HALF) / 4u', '(row * HALF + col) / 4u'],
  ['gemm', 'tiled_32x64', 'b_tile[i / (BN / 4u) * B_LINE', 'b_tile[i / (BN / 4u) * A_LINE'],
  ['gemm', 'tiled_128x64', 'a_tile[s * A_LINE + p * WY + id.y]', 'a_tile[s * A_LINE + id.y]'],
  ['gemm', 'tiled_64x128', '(q * WX + id.x) * 4u', '(q + id.x) * 4u'],
  ['gemm', 'split_4', 'min(first + SPLIT, K)', 'K'],
  ['gemm', 'split_4', 'group.z * M', '0u'],
  ['gemm', 'split_4', 's < SPLITS', 's < SPLITS - 1u'],
  ['gemm', 'split_4', 'epilogue(sum, row, col)', 'epilogue(sum, row, 0u)'],
  ['gemm', 'broadcast', ', k + lane < K)', ', true)'],
  ['gemm', 'broadcast', 'j * 4u + 3u', 'j * 4u + 2u'],
  ['gemm', 'broadcast', 'terms[1] * b[QN + q]', 'terms[1] * b[q]'],
  ['gemm', 'broadcast', 'w[b_start[n] + term]', 'w[b_start[0] + term]'],
  ['gemm', 'broadcast', 'min(col / 4u + q, N / 4u - 1u)', 'q'],
  ['gemm', 'panel', ', k < K)', ', true)'],
  ['gemm', 'panel', 'k > 0u) + sum[n]', 'false) + sum[n]'],
  ['gemm', 'panel', 'dot(a3, b[(i * 4u + 3u)', 'dot(a3, b[(i * 4u + 2u)'],
  ['gemm', 'panel', 'epilogue(f32(y[row * N + n]), row, n)', 'f32(y[row * N + n])'],
  ['gemm', 'panel', 'let first = group.y * ROWS', 'let first = 0u'],
  ['gemm', 'panel', 'FIRST + min', 'min'],
  ['attention', 'plain', 'sum[c] * shrink', 'sum[c]'],
  ['attention', 'quads', 'quadSwapY(select(near.y, near.x', 'quadSwapX(select(near.y, near.x'],
  ['attention', 'quads', 'sum[m * PARTS + c] * shrinks[m]', 'sum[m * PARTS + c]'],
  ['attention', 'quads', 'select(TOKENS, query + 1u, CAUSAL)', 'TOKENS'],
  ['attention', 'blocked_32x16', '(row % WX) * 4u + row / WX', 'row'],
  ['attention', 'blocked_32x16', 'sum[m * TD + d] *= shrink', 'sum[m * TD + d] *= 1.0f'],
  ['attention', 'blocked_32x16', 'min(base + m * WY + id.y + 1u, TOKENS), CAUSAL)', 'TOKENS, CAUSAL)'],
  ['attention', 'tiled', 'total *= shrink', 'total *= 1.0f'],
  ['attention_backward', 'plain', 'p * (dp - dot_y)', 'p * dp'],
  ['attention_backward', 'plain', 'T(SCALE * dk[c])', 'T(dk[c])'],
  ['attention_backward', 'plain', 'select(0u, key, CAUSAL)', '0u'],
  ['attention_backward', 'registers', 'delta[row] = dot_y', 'delta[row] = 0.0f'],
  ['attention_backward', 'registers', ', key < limit', ', true'],
  ['attention_backward', 'registers', '!CAUSAL || query >= key', 'true'],
  ['attention_backward', 'blocked_32x16', 'delta[row + near] = sum', 'delta[row + near] = 0.0f'],
  ['attention_backward', 'blocked_32x16', '+ ds.w * k3', '+ ds.z * k3'],
  ['attention_backward', 'blocked_32x16', '(query < vec4<u32>(TOKENS)) & ', ''],
  ['attention_backward', 'blocked_32x16', 'select(0u, base + m * WY + id.y, CAUSAL)', '0u'],
  ['attention_backward', 'quads', 'ds[m] * k[c]', 'ds[0] * k[c]'],
  ['attention_backward', 'quads', 'ds[m] * q[c]', 'p[m] * q[c]'],
  ['attention_backward', 'quads', '!CAUSAL || query >= key', 'true'],
  ['attention_backward', 'quads', 'delta[row] = own_delta', 'delta[row] = 0.0f'],
  ['attention_backward', 'tiled', 'slice + i < limit', 'true'],
  ['attention_backward', 'tiled', 'query < TOKENS && (!CAUSAL || query >= key)', 'query < TOKENS'],
  ['attention_backward', 'tiled', 'let seen = query < TOKENS && ', 'let seen = '],
  ['attention_backward', 'tiled', 'local ^ 32u', 'local'],
  ['activation', 'plain', '1.0f - tail', 'tail'],
  ['activation', 'plain', '0.305f', '0.306f'],
  ['activation', 'plain', '-1.702f', '-1.7f'],
  ['activation', 'plain', '0.01f * x', '0.1f * x'],
  ['activation_backward', 'plain', '0.3989422804014327f', '0.3999f'],
  ['activation_backward', 'plain', 'select(tail, 1.0f - tail', 'select(tail, 1.0f + tail'],
  ['activation_backward', 'plain', 'select(large, small', 'select(small, large'],
  ['activation_backward', 'plain', 'select(0.01f, 1.0f', 'select(0.1f, 1.0f'],
  ['weighted_sum', 'plain', 'C1 * f32(x1[i])', 'C2 * f32(x1[i])'],
  ['gather_rows', 'plain', 'rows[i / COLS]', 'rows[i / COLS] + 1u'],
  ['gather_rows', 'plain', 'ROWS - 1u', 'ROWS - 2u'],
  ['gather_rows_backward', 'plain', 'a + 32u, N', 'a + 31u, N'],
  ['gather_rows_backward', 'plain', 'min(rows[n], ROWS - 1u)', 'rows[n]'],
  ['group_mean', 'plain', '(FIRST + b)', 'b'],
  ['group_mean', 'plain', 'a < ROWS; a += 32u', 'a < min(ROWS, 32u); a += 32u'],
  ['group_mean_backward', 'plain', 'dy[GROUP * COLS', 'dy[0u * COLS'],
  ['group_mean_backward', 'plain', 'f32(ROWS)', 'f32(ROWS + 1u)'],
  ['l2_normalize', 'plain', 'sqrt(squares)', 'squares'],
  ['l2_normalize', 'workgroup', 'c = local; c < COLS', 'c = local; c < COLS - 1u'],
  ['l2_normalize', 'plain', 'max(sqrt(squares), EPS)', 'sqrt(squares)'],
  ['l2_normalize_backward', 'plain', 'norm > EPS', 'true'],
  ['l2_normalize_backward', 'plain', '- f32(x[start + c])', '+ f32(x[start + c])'],
  ['l2_normalize_backward', 'workgroup', 'partial[SIZE] / length', 'partial[0] / length'],
  ['cosine_logits', 'plain', '* N + SKIP +', '* N +'],
  ['cosine_logits', 'workgroup', 'cell < CELLS', 'cell < SIZE'],
  ['cosine_logits_backward_features', 'plain', 'norm > EPS', 'true'],
  ['cosine_logits_backward_features', 'plain', 'token < SKIP', 'false'],
  ['cosine_logits_backward_features', 'plain', '+ token - SKIP) * K', '+ token - 1u) * K'],
  ['cosine_logits_backward_features', 'workgroup', '/ length * along', '/ length'],
  ['cosine_logits_backward_features', 'workgroup', 'token < SKIP', 'false'],
  ['cosine_logits_backward_text', 'plain', 'first + 32u', 'first + 31u'],
  ['cosine_logits_backward_text', 'plain', '* inverse[token]', ''],
  ['cosine_logits_backward_text', 'plain', 'a < BLOCKS; a += 32u', 'a < 32u; a += 32u'],
  ['cosine_logits_backward_text', 'workgroup', 'half > 0u', 'half > 1u'],
  ['nearest_distance', 'plain', 'LOWEST: f32 = -3.4028234e38f', 'LOWEST: f32 = 0.0f'],
  ['nearest_distance', 'plain', '(strip + 1u) * STRIP, R)', '(strip + 1u) * STRIP - 1u, R)'],
  ['nearest_distance', 'plain', '(KEPT + SKIP) + SKIP', '(KEPT + SKIP)'],
  ['nearest_distance', 'plain', 'max(sqrt(squares), EPS)', 'sqrt(squares)'],
  ['nearest_distance', 'plain', 'p < PARTS', 'p < PARTS - 1u'],
  ['nearest_distance', 'plain', 'min(prev[query], distance)', 'distance'],
  ['nearest_distance', 'registers', 'group.x * WX + local) * QUERIES', 'group.x * WX) * QUERIES'],
  ['nearest_distance', 'registers', 'r += TN * WX', 'r += 2u * TN * WX'],
  ['nearest_distance', 'registers', 'k < C / 4u', 'k < C / 4u - 1u'],
  ['nearest_distance', 'registers', 'LOWEST: f32 = -3.4028234e38f', 'LOWEST: f32 = 0.0f'],
  ['nearest_distance', 'tiled', 'first + id.x * 4u + n < R', 'true'],
  ['nearest_distance', 'tiled', 'i < 16u; i++) {\n      best', 'i < 15u; i++) {\n      best'],
  ['nearest_distance', 'tiled', 'first += SIDE', 'first += 2u * SIDE'],
  ['nearest_distance', 'tiled', 'largest[m] = max(largest[m]', 'largest[m] = max(largest[0]'],
  ['softmax', 'plain', 'x[start + c]) - largest) / sum', 'x[start + c])) / sum'],
  ['softmax', 'workgroup', 'partial[local] = max(', 'partial[local] = min('],
  ['softmax', 'subgroup', 'subgroupMax(own)', 'own'],
  ['softmax', 'subgroup', 'subgroupAdd(own)', 'own'],
  ['softmax_backward', 'plain', '- sum', '+ sum'],
  ['softmax_backward', 'subgroup', 'subgroupAdd(own)', 'own'],
  ['softmax_backward', 'workgroup', 'c = local; c < COLS', 'c = local; c < COLS - 1u'],
  ['resize_bilinear', 'plain', 'size_in - 1u);', 'size_in);'],
  ['resize_bilinear', 'plain', 'mix(top, bottom, down.share)', 'mix(bottom, top, down.share)'],
  ['resize_bilinear', 'plain', '(2u * i + 1u)', '2u * i'],
  ['resize_bilinear', 'plain', 'min(scaled / steps, size_in - 1u)', 'scaled / steps + 1u'],
  ['resize_bilinear_backward', 'plain', 'size_in - 1u);', 'size_in);'],
  ['resize_bilinear_backward', 'plain', 'max(cell, 1u) - 1u', 'cell'],
  ['resize_bilinear_backward', 'plain', 'SIZE_OUT, SIZE_IN == 1u', 'SIZE_OUT, false'],
  ['resize_bilinear_backward', 'plain', 't.high == cell', 't.high == cell + 1u'],
  ['resize_bilinear_backward', 'plain', 'min(b + 32u, end)', 'min(b + 31u, end)'],
  ['reduce_backward', 'plain', '* INNER + i % INNER', '* INNER'],
  ['reduce_backward', 'plain', '/ DIVISOR', ''],
  ['reduce', 'plain', 'c < min(b + 32u, AXIS)', 'c < min(b + 31u, AXIS)'],
  ['reduce', 'workgroup', 'a = local; a < AXIS', 'a = local; a < AXIS - 1u'],
  ['reduce', 'plain', 'a = 1u; a < AXIS', 'a = 1u; a < AXIS - 1u'],
  ['reduce', 'plain', 'largest = term(start, 0u);', 'largest = 0.0f;'],
  ['reduce', 'plain', 'at - at % INNER', 'start'],
  ['reduce', 'workgroup', 'exp(f32(x[at]) - largest)', 'exp(f32(x[at]))'],
  ['class_sum', 'plain', 'i * K + CLASS', 'i * K'],
  ['class_sum', 'plain', 'sum += x6[at];', ''],
  ['class_map', 'plain', 'sum += stage6(corners);', ''],
  ['class_map', 'plain', 'mix(v.z, v.w, c.right)', 'mix(v.w, v.z, c.right)'],
  ['class_map', 'plain', 'size_in - 1u);', 'size_in);'],
  ['class_map', 'plain', 'exp(logits[CLASS] - largest)', 'exp(logits[CLASS])'],
  ['class_map', 'plain', 'return blend(p, c)', 'return p.x'],
  ['class_map', 'plain', 'x0[c.at.w + k]', 'x0[c.at.z + k]'],
  ['bce_loss', 'plain', 'sigmoid - t', 'x - t'],
  ['bce_loss', 'plain', 'bounded_log(1.0f - x)', 'bounded_log(x)'],
  ['bce_loss', 'plain', 'max(x * (1.0f - x), 1e-12f)', '(x * (1.0f - x))'],
  ['bce_loss', 'plain', 'b < min(a + 32u, B)', 'b < min(a + 31u, B)'],
  ['segmentation_loss', 'plain', 'low[1] += q.y * t', 'low[1] += q.x * t'],
  ['segmentation_loss', 'plain', '2.0f * log(q)', 'log(q)'],
  ['segmentation_loss', 'plain', '2.0f * (1.0f - t)', '2.0f * t'],
  ['segmentation_loss', 'plain', 'select(N, 0u, weights[image] == 0.0f)', 'N'],
  ['segmentation_loss', 'workgroup', 'select(N, 0u, weights[image] == 0.0f)', 'N'],
  ['segmentation_loss', 'plain', 'weights[image] != 0.0f', 'true'],
  ['segmentation_loss', 'plain', 'vec2(SMOOTHING, 1.0f - SMOOTHING), abnormal', 'vec2(SMOOTHING), abnormal'],
  ['segmentation_loss', 'plain', 'b < min(a + 32u, PARTS)', 'b < min(a + 3u, PARTS)'],
  ['segmentation_loss', 'workgroup', 'local < 6u', 'local < 5u'],
  ['segmentation_loss', 'workgroup', 'part * SIZE + local', 'local'],
  ['accumulate', 'plain', 'hyper[0] * acc[i]', 'acc[i]'],
  ['accumulate', 'plain', 'hyper[0] != 0.0f', 'hyper[0] < 9.0f'],
  ['square_sum', 'plain', '0x57800000u', '0x7f800000u'],
  ['square_sum', 'plain', '>= LIMIT', '> LIMIT'],
  ['square_sum', 'plain', 'y[FIRST + part]', 'y[part]'],
  ['square_sum', 'plain', 'b < min(a + 32u * PARTS', 'b < min(a + 31u * PARTS'],
  ['square_sum', 'workgroup', 'half > 0u', 'half > 1u'],
  ['square_sum', 'workgroup', '>= LIMIT', '> LIMIT'],
  ['clip_scale', 'plain', 'min(1.0f, hyper[1] / (total + 1e-6f))', 'hyper[1] / (total + 1e-6f)'],
  ['clip_scale', 'plain', 'hyper[0] * sqrt', 'sqrt'],
  ['clip_scale', 'plain', 'finite && norms[b] >= 0.0f', 'norms[b] >= 0.0f'],
  ['adam', 'plain', 'second * hyper[6]', 'second'],
  ['adam', 'plain', 'control[0] * gradient[i] + decay', 'control[0] * (gradient[i] + decay)'],
  ['adam', 'plain', '(update + decay)', 'update'],
  ['adam', 'plain', 'control[1] < 0.0f || ', ''],
  ['adam', 'plain', ' || hyper[7] == 0.0f', ''],
  ['sgd', 'plain', 'hyper[5] == 0.0f', 'hyper[5] < 2.0f'],
  ['sgd', 'plain', 'g + hyper[1] * momentum', 'momentum'],
  ['sgd', 'plain', 'control[1] < 0.0f || ', ''],
  ['sgd', 'plain', ' || hyper[7] == 0.0f', ''],
  ['warp', 'plain', 'rest = -rest', 'rest = rest'],
  ['warp', 'plain', '(turns + 1.0f) * side - 1.0f - whole', 'turns * side - whole'],
  ['warp', 'plain', '0.50001f', '0.49999f'],
  ['warp', 'plain', 'tap(transform + 3u', 'tap(transform'],
  ['window_harmonic', 'plain', 'max(cell + n, G) - G', 'cell'],
  ['window_harmonic', 'plain', 'min(cell, n - 1u)', 'min(cell, n - 2u)'],
  ['window_harmonic', 'plain', '1.0f / max(x1', 'max(x1'],
  ['window_harmonic', 'plain', '(image * N2 + r) * N2', 'r * N2'],
  [
    'window_harmonic',
    'plain',
    'max(x0[(image * N0 + r) * N0 + c], LEAST)',
    'max(x0[(image * N0 + r) * N0 + c], 1e-3f)',
  ],
  ['window_harmonic', 'plain', 'terms / total', '1.0f / total'],
  ['cast', 'plain', 'widened(x[i] >> 16u)', 'widened(x[i] & 0xffffu)'],
  ['cast', 'plain', 'magnitude < 0x0400u', 'magnitude < 0x0200u'],
  ['cast', 'plain', 'magnitude >= 0x7c00u', 'magnitude > 0x7c00u'],
  ['cast', 'plain', '(half & 0x8000u) << 16u', '0u'],
  ['cast', 'plain', '- 0x38000000u + 0xfffu + ((magnitude >> 13u) & 1u)', '- 0x38000000u + 0x1000u'],
  ['cast', 'plain', '+ ((digits >> shift) & 1u)', ''],
  ['cast', 'plain', 'min(126u - (magnitude >> 23u), 31u)', '(126u - (magnitude >> 23u))'],
  ['cast', 'plain', '>= 0x477ff000u', '> 0x7f7fffffu'],
  ['cast', 'plain', 'rounded(x[i].y)', 'rounded(x[i].x)'],
];

/** The op with every `right` of a variant's kernels, includes first, made `wrong`. */
function broken(op: Op<unknown>, right: string, wrong: string): Op<unknown> {
  const spoil = (kernel: KernelSource): KernelSource => ({
    name: kernel.name,
    wgsl: kernel.wgsl.replace(right, wrong),
    ...(kernel.includes && {
      includes: Object.fromEntries(
        Object.entries(kernel.includes).map(([name, text]) => [name, text.replace(right, wrong)]),
      ),
    }),
  });
  const variants = op.variants.map((variant): Op<unknown>['variants'][number] => ({
    name: variant.name,
    lower: (call, caps) => {
      const lowering = variant.lower(call, caps);
      if (isCannot(lowering)) return lowering;
      return { ...lowering, dispatches: lowering.dispatches.map((d) => ({ ...d, kernel: spoil(d.kernel) })) };
    },
  }));
  return { ...op, variants };
}

test.for(faults)('%s, %s: "%s" made "%s" is caught', async ([name, variant, right, wrong], context) => {
  const suite = suites.find((s) => s.op.name === name)!;
  const lower = suite.op.variants.find((v) => v.name === variant)!.lower;
  const runs = suite.cases.some((one) => !isCannot(lower(callOf(suite, one), gpu.caps)));
  context.skip(!runs, `${gpu.name} cannot run ${variant}`);
  const op = broken(suite.op, right, wrong);
  let inKernel = false;
  let seen = false;
  for (const one of suite.cases) {
    const call = callOf(suite, one);
    if (one.bench || usesF16(call) || Math.max(...call.inputs.map((t) => t.shape[0] ?? 0)) > 10_000) continue;
    const lowering = op.variants.find((v) => v.name === variant)!.lower(call, gpu.caps);
    const sound = suite.op.variants.find((v) => v.name === variant)!.lower(call, gpu.caps);
    if (isCannot(lowering) || isCannot(sound)) continue;
    if (variant.startsWith('blocked') && !one.siblings) continue; // seconds of compilation a shape
    const texts = (of: typeof sound) => JSON.stringify(of.dispatches.map(({ kernel }) => kernel));
    if (texts(lowering) === texts(sound)) continue; // the fault is in another kernel of this variant
    inKernel = true;
    const { outputs } = await runCase(gpu, op, one, variant);
    seen ||= mismatchOf(op, call, outputs, referenceOf(suite, one)) !== undefined;
    if (seen) break;
  }
  expect(inKernel, 'the fault is in a kernel').toBe(true);
  expect(seen).toBe(true);
});

test('each op has a fault of its own', () => {
  expect(new Set(faults.map(([op]) => op))).toEqual(new Set(suites.map((s) => s.op.name)));
});
