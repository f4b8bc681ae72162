/** One update of the parameters from their gradients: norms, clipping, and the optimiser's rule. */
import { adam } from '../kernels/adam/adam';
import { clipScale } from '../kernels/clip-scale/clip-scale';
import { sgd } from '../kernels/sgd/sgd';
import { squareSum } from '../kernels/square-sum/square-sum';
import { weightedSum } from '../kernels/weighted-sum/weighted-sum';
import { Graph, type Tensor } from '../runtime/graph';
import type { OptimiserName } from './options';
import type { Parameter, ParameterGroup } from './parameters';
import { gradientName, type LossKind, lossName, lossShape } from './step-graph';

/** What an optimiser keeps beside each parameter. */
export const SLOTS: Readonly<Record<OptimiserName, readonly string[]>> = {
  adam: ['adam.m', 'adam.v'],
  adamw: ['adam.m', 'adam.v'],
  sgd: ['sgd.momentum'],
};

/** Name of an optimiser's tensor for a parameter. */
export function slotName(slot: string, parameter: string): string {
  return `${slot}.${parameter}`;
}

/**
 * Inputs: clip f32 [2] (see `clip_scale`), and hyper.<group> f32 [8] per parameter group (see `adam`, `sgd`).
 * Weights: parameters, grad.<parameter>, the optimiser's slots, norms f32 [n], loss.<kind>; all but gradients and losses change.
 * Output: control f32 [2 + n]: factor, total norm (-1 when something is not finite; nothing changes then), each norm; n is the number
 * of parameters and `losses`, which must be finite, too, and come last. det f32 [1], seg f32 [2]: the losses, to be read back with it.
 */
export function updateGraph(
  parameters: readonly Parameter[],
  optimiser: OptimiserName,
  losses: readonly LossKind[],
): Graph {
  const g = new Graph();
  const count = parameters.length + losses.length;
  const norms = g.weight(normsName(count), 'f32', [count]);
  const gradients = parameters.map(({ name, shape }) => g.weight(gradientName(name), 'f32', shape));
  gradients.forEach((gradient, i) => {
    squareSum(g, norms, gradient, i);
  });
  losses.forEach((kind, i) => {
    const loss = g.weight(lossName(kind), 'f32', lossShape(kind));
    squareSum(g, norms, loss, parameters.length + i);
    // Times one: what is read back comes out of nodes.
    g.output(kind, weightedSum(g, [loss], [1]));
  });
  const control = clipScale(g, norms, g.input('clip', 'f32', [2]), losses.length);
  const hypers = new Map<ParameterGroup, Tensor>();
  const hyperOf = (group: ParameterGroup) => {
    const known = hypers.get(group) ?? g.input(`hyper.${group}`, 'f32', [8]);
    hypers.set(group, known);
    return known;
  };
  parameters.forEach(({ name, shape, group }, i) => {
    const [parameter, ...slots] = [name, ...SLOTS[optimiser].map((slot) => slotName(slot, name))].map(
      (tensor) => g.weight(tensor, 'f32', shape),
    ) as [Tensor, Tensor, Tensor];
    const hyper = hyperOf(group);
    if (optimiser === 'sgd') sgd(g, parameter, slots[0]!, gradients[i]!, control, hyper);
    else
      adam(g, parameter, slots[0]!, slots[1]!, gradients[i]!, control, hyper, {
        decoupled: optimiser === 'adamw',
      });
  });
  g.output('control', control);
  return g;
}

/** Squared norms of an update of `count` parameters and losses. */
export function normsName(count: number): string {
  return `norms.${count}`;
}
