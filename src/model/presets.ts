import type { ActivationKind } from '../kernels/activation/activation';
import { OptionError } from '../runtime/errors';

/** Where the paper and the authors' released code disagree, a preset names the choice. */
export interface Preset {
  readonly name: 'authors' | 'paper';
  /** MLP activation of both towers. */
  readonly activation: ActivationKind;
  /** Causal mask in the text tower while encoding learnable prompts. */
  readonly causalPrompts: boolean;
  /** Segmentation: softmax, then resize (eq. 9-10), or resize the logits, then softmax (the code). */
  readonly softmaxBeforeResize: boolean;
  /** Detection loss: plain BCE of the probability, or BCE-with-logits applied to it (the code's double sigmoid). */
  readonly detectionLoss: 'probability' | 'logits';
  /** Dice loss of the normal class too (eq. 11's third term). */
  readonly normalDice: boolean;
}

/** Follows the authors' code: parity with released checkpoints. */
export const AUTHORS: Preset = {
  name: 'authors',
  activation: 'gelu',
  causalPrompts: false,
  softmaxBeforeResize: false,
  detectionLoss: 'logits',
  normalDice: false,
};

/** Follows the paper's equations. */
export const PAPER: Preset = {
  name: 'paper',
  activation: 'quick_gelu',
  causalPrompts: true,
  softmaxBeforeResize: true,
  detectionLoss: 'probability',
  normalDice: true,
};

/** @throws OptionError for any other name. */
export function presetNamed(name: string): Preset {
  const preset = [AUTHORS, PAPER].find((p) => p.name === name);
  if (!preset) throw new OptionError(`There is no preset ${name}.`, 'Use authors or paper.');
  return preset;
}
