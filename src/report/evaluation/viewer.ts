/** The dialog that shows one image large: original, heatmap, and both over each other, with the outlines. Filled by script.ts. */
import { short } from '../page';

/** @param range values of the lowest and the highest colour of all heatmaps, where they share one. */
export function viewer(range: readonly [low: number, high: number] | undefined): string {
  const [low, high] = range ? range.map(short) : ['low', 'high'];
  return `<dialog id="viewer" aria-labelledby="viewer-name">
<header><h2 id="viewer-name" tabindex="-1" autofocus></h2>
<div class="steps"><button type="button" id="previous" aria-label="Previous image">&larr;</button><span id="position"></span>
<button type="button" id="next" aria-label="Next image">&rarr;</button><button type="button" id="close">Close</button></div></header>
<dl class="facts" id="viewer-facts"></dl>
<div id="viewer-picture">
<div class="controls">
<label class="opacity">Heatmap opacity <input type="range" id="opacity" min="0" max="100" value="50"></label>
<label id="truth-switch"><input type="checkbox" id="show-truth" checked><i class="line truth"></i>Ground truth</label>
<label id="predicted-switch"><input type="checkbox" id="show-predicted" checked><i class="line predicted"></i>Map at its threshold</label>
<span class="legend"><span>${low}</span><span class="scale"></span><span>${high}</span></span>
</div>
<div class="panes" id="panes"></div>
</div>
<p class="note" id="no-picture">No picture of this image is in the file.</p>
</dialog>`;
}
