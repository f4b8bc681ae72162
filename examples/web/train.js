/** Training in a page: normal and abnormal images from file inputs, a loss curve, a model to detect with and to keep. */
import { AbortedError, createTrainer, modelChunks } from '../../dist/browser.js';
import { drawCurve } from './curve.js';
import { element, onSubmit, openClip, say } from './session.js';

const progress = element('progress');
const stop = element('stop');

let model;
let address;

/** The model that was trained last, a Blob of the same bytes as its file; undefined before. */
export function trainedModel() {
  return model;
}

onSubmit(element('training'), train);

async function train() {
  const images = chosenImages();
  const { gpu, clip } = await openClip();
  say('Preparing the step');
  const trainer = await createTrainer(clip, images, {
    imageSize: element('size').valueAsNumber,
    epochs: element('epochs').valueAsNumber,
    batch: element('batch').valueAsNumber,
    augment: element('augment').checked,
  });
  const abort = new AbortController();
  const cancel = () => abort.abort();
  stop.addEventListener('click', cancel);
  stop.hidden = false;
  stop.focus();
  try {
    say(`Training on ${gpu.name}. ${trainer.describe()}`);
    const stopped = await follow(trainer, abort.signal);
    if (trainer.step > 0) await offer(trainer);
    const done = `${trainer.step} of ${trainer.totalSteps} steps`;
    const use = trainer.step > 0 ? 'Detect uses this model now, unless a checkpoint is chosen.' : '';
    say(`${stopped ? 'Stopped after' : 'Trained:'} ${done}. ${use}`);
  } finally {
    stop.hidden = true;
    stop.removeEventListener('click', cancel);
    await trainer.destroy();
  }
}

/** Shows step after step. @returns whether the signal ended it. */
async function follow(trainer, signal) {
  const losses = [];
  progress.max = trainer.totalSteps;
  progress.value = 0;
  element('course').hidden = false;
  try {
    for await (const { step, epoch, loss, ms } of trainer.run({ signal })) {
      losses.push(loss);
      progress.value = step;
      const seconds = ((ms.prepare + ms.gradient + ms.update) / 1000).toFixed(1);
      element('step').textContent =
        `Step ${step} of ${trainer.totalSteps}, epoch ${epoch}: loss ${loss.toFixed(4)}, ${seconds} s`;
      drawCurve(element('curve'), losses);
    }
    return false;
  } catch (error) {
    if (error instanceof AbortedError) return true;
    throw error;
  }
}

/** The model as a file's bytes: detection reads them, and the link saves them. */
async function offer(trainer) {
  model = new Blob([...modelChunks(await trainer.state('model'))]);
  if (address) URL.revokeObjectURL(address);
  address = URL.createObjectURL(model);
  const link = document.createElement('a');
  link.href = address;
  link.download = 'mla-lp-model.safetensors';
  link.textContent = 'Save the model';
  element('saved').replaceChildren(link);
}

function chosenImages() {
  const [normal, abnormal, masks] = ['normal', 'abnormal', 'masks'].map((id) => [...element(id).files]);
  const maskOf = new Map(masks.map((mask) => [stem(mask).replace(/_mask$/i, ''), mask]));
  const images = [
    ...normal.map((image) => ({ image, abnormal: false })),
    ...abnormal.map((image) => ({ image, abnormal: true, mask: maskOf.get(stem(image)) })),
  ];
  const used = new Set(images.map(({ mask }) => mask));
  const stray = masks.find((mask) => !used.has(mask));
  if (stray) throw new Error(`${stray.name} is the mask of no abnormal image: both must have the same name.`);
  return images;
}

function stem({ name }) {
  return name.replace(/(?<=.)\.[^.]*$/, '');
}
