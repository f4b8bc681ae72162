/** Times one ViT-L/14 transformer block at 240 px: 290 tokens. */

import { uniformAt } from '../../src/kernels/suite';
import { AUTHORS } from '../../src/model/presets';
import { syntheticClip } from '../../src/model/synthetic';
import { transformerBlock } from '../../src/model/transformer';
import { loadWeights } from '../../src/model/weight-loader';
import { BufferStore, lookupIn } from '../../src/runtime/buffer-store';
import type { Precision } from '../../src/runtime/device';
import { Graph } from '../../src/runtime/graph';
import { sizeOf, tensorType } from '../../src/runtime/tensor-type';
import { type AddRepetition, GraphTimer, storeOf } from '../graph-timer';
import { interleave } from '../measure';
import { type Ceilings, CHOSEN, rowOf } from '../record';
import type { Session } from '../session';
import { assertFinite, floorOf } from './floor';

const TOKENS = 290;
const WIDTH = 1024;
const PREFIX = 'visual.transformer.resblocks.0.';
const OPTIONS = { width: WIDTH, heads: 16, mlp: 4 * WIDTH, activation: AUTHORS.activation, causal: false };

export async function benchBlock(
  session: Session,
  precisions: readonly Precision[],
  ceilings: Ceilings,
): Promise<void> {
  const bar = session.progress('block', 2 * precisions.length);
  const blocks = [];
  try {
    for (const dtype of precisions) {
      blocks.push(await prepareBlock(session, dtype));
      bar.step();
    }
    const times = await interleave(
      blocks.map(({ timer }) => timer),
      { budgetMs: session.budgetMs, onDone: bar.step },
    );
    for (const [i, { dtype, floor }] of blocks.entries()) {
      const what = { suite: 'block', case: `ViT-L/14, ${TOKENS} tokens`, variant: CHOSEN, dtype, floor };
      session.rows.push(rowOf(what, times[i]!, ceilings));
    }
  } finally {
    bar.finish();
    for (const { destroy } of blocks) destroy();
  }
}

async function prepareBlock(session: Session, dtype: Precision) {
  const { gpu } = session;
  const type = tensorType(dtype, [1, TOKENS, WIDTH]);
  const single = new Graph();
  const x = single.weight('x0', dtype, type.shape);
  single.output('y.0', transformerBlock(single, x, PREFIX, { ...OPTIONS, dtype }));
  const values = Float32Array.from({ length: sizeOf(type) }, (_, i) => uniformAt(i));
  const operands = await storeOf(gpu, [{ type, values }]);
  const store = new BufferStore(gpu);
  const weights = new Map([...single.weights].filter(([name]) => name !== 'x0'));
  await loadWeights({ weights }, store, [syntheticClip('vitl14')]);
  const add: AddRepetition = (g, repeat) => {
    const input = g.weight('x0', dtype, type.shape);
    g.output(`y.${repeat}`, transformerBlock(g, input, PREFIX, { ...OPTIONS, dtype }));
  };
  const options = { weights: lookupIn(operands, store), mostRepeats: 24 };
  const timer = await GraphTimer.create(session, add, options);
  assertFinite((await timer.run())['y.0']!);
  const floor = floorOf(timer.plan);
  await timer.calibrate(add, options);
  const destroy = () => {
    timer.destroy();
    operands.destroy();
    store.destroy();
  };
  return { dtype, floor, timer, destroy };
}
