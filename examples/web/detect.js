/** Detection in a page: weights and images from file inputs, scores and heatmaps on canvases. No framework, no network. */
import { MlaLp } from '../../dist/browser.js';
import { beforeClipCloses, element, fixedPrompts, onSubmit, openClip, say } from './session.js';
import { trainedModel } from './train.js';

const results = element('results');

let model;
let madeFrom;

beforeClipCloses(async () => {
  await model?.destroy();
  model = undefined;
});

onSubmit(element('detection'), () => detect([...element('images').files]));

element('opacity').addEventListener('input', ({ target }) => {
  for (const heatmap of results.querySelectorAll('.heatmap')) heatmap.style.opacity = target.value;
});

async function detect(files) {
  const started = performance.now();
  results.replaceChildren();
  const { gpu, clip } = await openClip();
  await prepare(clip, element('checkpoint').files[0] ?? trainedModel(), element('size').valueAsNumber);
  let done = 0;
  for await (const outcome of model.detectEach(files)) {
    const { name } = files[outcome.index];
    results.append('error' in outcome ? captioned('', outcome.error.message) : figure(name, outcome));
    say(`${++done} of ${files.length}, on ${gpu.name}`);
  }
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  say(`${done} images in ${seconds} s on ${gpu.name}, method ${model.method}`);
}

/** Makes the model once per CLIP, checkpoint and size. */
async function prepare(clip, checkpoint, imageSize) {
  if (model && madeFrom.checkpoint === checkpoint && madeFrom.imageSize === imageSize) return;
  await model?.destroy();
  model = undefined;
  model = await MlaLp.load(clip, { imageSize, checkpoint, prompts: await fixedPrompts() });
  madeFrom = { checkpoint, imageSize };
}

function figure(name, { image, detection }) {
  const { score, levels, map, size } = detection;
  const picture = document.createElement('div');
  picture.className = 'picture';
  const heatmap = canvasOf(size, size, (pixels) => {
    for (let i = 0; i < map.length; i++) pixels.set([...colour(map[i] / levels.length), 255], 4 * i);
  });
  heatmap.className = 'heatmap';
  heatmap.style.opacity = element('opacity').value;
  const original = canvasOf(image.width, image.height, (pixels) => {
    for (let i = 0, o = 0; o < pixels.length; i += 3, o += 4) {
      pixels.set([image.data[i], image.data[i + 1], image.data[i + 2], 255], o);
    }
  });
  picture.append(original, heatmap);
  return captioned(picture, `${name}: score ${score.toFixed(3)} of ${levels.length}`);
}

/** Text only: a file may be called `<img onerror=...>`. */
function captioned(content, text) {
  const caption = document.createElement('figcaption');
  caption.textContent = text;
  const whole = document.createElement('figure');
  whole.append(content, caption);
  return whole;
}

function canvasOf(width, height, fill) {
  const canvas = document.createElement('canvas');
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext('2d');
  const data = context.createImageData(width, height);
  fill(data.data);
  context.putImageData(data, 0, 0);
  return canvas;
}

/** Seven points of matplotlib's inferno (CC0), straight lines between. */
const INFERNO = [
  [0, 0, 4],
  [51, 10, 94],
  [120, 28, 109],
  [188, 55, 84],
  [237, 105, 37],
  [251, 180, 26],
  [252, 255, 164],
];

function colour(share) {
  const at = Math.min(Math.max(share, 0), 1) * (INFERNO.length - 1);
  const low = Math.min(Math.floor(at), INFERNO.length - 2);
  return INFERNO[low].map((value, c) => Math.round(value + (at - low) * (INFERNO[low + 1][c] - value)));
}
