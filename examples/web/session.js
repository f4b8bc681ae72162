/** What training and detection share: the device, the CLIP and the line that says what goes on. */
import { loadClip, openDevice, parsePrompts } from '../../dist/browser.js';

export const element = (id) => document.getElementById(id);

/** Text only: a file may be called `<img onerror=...>`. */
export function say(text) {
  element('status').textContent = text;
}

let gpu;
let clip;
let clipFile;
const dependents = [];

/** @param free frees what was made of the CLIP; called before another one takes its place. */
export function beforeClipCloses(free) {
  dependents.push(free);
}

/** The CLIP that the page's input names, opened once per choice. @returns the device, too. */
export async function openClip() {
  const [weights] = element('weights').files;
  if (clip && !gpu.isLost && weights === clipFile) return { gpu, clip };
  for (const free of dependents) await free();
  await clip?.close();
  clip = undefined;
  if (!gpu || gpu.isLost) {
    say('Opening a device');
    gpu = await openDevice();
  }
  clip = await loadClip(
    gpu,
    weights ?? new URL('../../weights/phantom-clip.safetensors', import.meta.url).href,
    {
      onProgress({ loadedBytes, totalBytes }) {
        say(`Weights: ${Math.round((100 * loadedBytes) / totalBytes)} %`);
      },
    },
  );
  clipFile = weights;
  return { gpu, clip };
}

/** phantom-clip knows the words of its own captions only; other weights take MVFA's sentences. */
export async function fixedPrompts() {
  if (element('weights').files.length > 0) return undefined;
  const url = new URL('../../weights/phantom-clip.prompts.json', import.meta.url);
  return parsePrompts(await (await fetch(url)).text(), 'phantom-clip.prompts.json');
}

/** Runs `work` when the form is submitted, one such work at a time in this page. */
export function onSubmit(form, work) {
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    const buttons = [...document.querySelectorAll('button[type=submit]')];
    for (const button of buttons) button.disabled = true;
    try {
      await work();
    } catch (error) {
      // Every error of the library says what happened and what to do.
      say(error.message);
    } finally {
      for (const button of buttons) button.disabled = false;
      // A disabled or hidden button loses the keyboard's focus.
      if (document.activeElement === document.body) event.submitter?.focus();
    }
  });
}
