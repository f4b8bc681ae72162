/** WinCLIP's compositional prompt ensemble (Jeong et al. 2023, section 4.1 and figure 6: states and templates). */
import { composePrompts, type PromptSet } from '../prompts';

const flaws = ['flaw', 'defect', 'damage'];
const states: PromptSet = {
  normal: ['{}', 'flawless {}', 'perfect {}', 'unblemished {}', ...flaws.map((flaw) => `{} without ${flaw}`)],
  abnormal: ['damaged {}', ...flaws.map((flaw) => `{} with ${flaw}`)],
};

const views = ['cropped', 'close-up', 'bright', 'dark', 'jpeg corrupted', 'blurry'];
const templates: readonly string[] = ['a', 'the'].flatMap((article) => [
  ...views.map((view) => `a ${view} photo of ${article} {}.`),
  `a photo of ${article} {}.`,
  `a photo of ${article} small {}.`,
  `a photo of ${article} large {}.`,
  `a photo of ${article} {} for visual inspection.`,
  `a photo of ${article} {} for anomaly detection.`,
]);

/** Every state in every template: 7 x 22 normal and 4 x 22 abnormal sentences. @param object e.g. "Brain". */
export function winClipPrompts(object: string): PromptSet {
  return composePrompts(states, templates, object);
}
