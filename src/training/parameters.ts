/** What is trained: adapters and context vectors, their groups and their initial values. */
import type { ClipConfig } from '../model/clip-config';
import { learnablePhrases } from '../model/prompts';
import { elementCount } from '../model/tensor-source';
import { Random } from '../runtime/random';

/** Groups have their own learning rates; `seg` rests on batches without masks. */
export type ParameterGroup = 'seg' | 'det' | 'prompts';

export interface Parameter {
  /** As in checkpoints: seg_adapters.0.fc1.0.weight, prompt_learner.ctx.normal_end. */
  readonly name: string;
  readonly shape: readonly number[];
  readonly group: ParameterGroup;
  /** false for the last stage's second matrices: nothing follows them, so they keep their initial values. */
  readonly trained: boolean;
  /** Inputs of each output, where the shape's last size is not that: a bias. */
  readonly fanIn?: number;
}

/** Every tensor of a checkpoint, in a fixed order. @param contextVectors 0: no prompts are learned. */
export function parametersOf(config: ClipConfig, stages: number, contextVectors: number): Parameter[] {
  const parameters: Parameter[] = [];
  for (const head of ['seg', 'det'] as const) {
    for (let stage = 0; stage < stages; stage++) {
      const name = (layer: string) => `${head}_adapters.${stage}.${layer}.0.weight`;
      parameters.push(
        { name: name('fc1'), shape: [config.embed, config.width], group: head, trained: true },
        { name: name('fc2'), shape: [config.width, config.embed], group: head, trained: stage < stages - 1 },
      );
    }
  }
  if (contextVectors === 0) return parameters;
  for (const kind of ['normal', 'abnormal'] as const) {
    const shape = [learnablePhrases[kind].length, contextVectors, config.textWidth];
    parameters.push({ name: contextName(kind), shape, group: 'prompts', trained: true });
  }
  return parameters;
}

/** Name of a class's context vectors. */
export function contextName(kind: 'normal' | 'abnormal'): string {
  return `prompt_learner.ctx.${kind}_end`;
}

/**
 * Fresh values: adapters and linear layers uniform in +-1/sqrt(fan in) (torch.nn.Linear's own rule), context vectors normal with deviation 0.02.
 * @param index of the parameter in its list: each has its own stream.
 */
export function initialValues(parameter: Parameter, index: number, seed: number): Float32Array<ArrayBuffer> {
  const random = new Random(Math.imul(seed, 0x9e3779b1) + index);
  const bound = 1 / Math.sqrt(parameter.fanIn ?? parameter.shape.at(-1)!);
  const next =
    parameter.group === 'prompts' ? () => 0.02 * random.normal() : () => random.uniform(-bound, bound);
  return Float32Array.from({ length: elementCount(parameter.shape) }, next);
}
