/** What the page does by itself: sorting and filtering the table, showing one image, copying. Plain script, allowed by its hash alone. */
import { sorting } from '../script';

export const script = `
'use strict';
const byId = (id) => document.getElementById(id);
${sorting}
const links = () => [...body.rows].filter((row) => !row.hidden).map((row) => row.querySelector('a'));

// Filters. All conditions must hold.
const filters = byId('filters');
const folded = (text) => text.normalize('NFKC').toLowerCase();
const filter = () => {
  const name = folded(byId('filter-name').value.trim());
  const { truth, side } = Object.fromEntries(new FormData(filters));
  let shown = 0;
  for (const row of body.rows) {
    row.hidden = !((!truth || row.dataset.truth === truth) && (!side || row.dataset.side === side) &&
      folded(row.cells[0].dataset.sort).includes(name));
    if (!row.hidden) shown++;
  }
  byId('shown').textContent = shown === body.rows.length ? shown + ' images' : shown + ' of ' + body.rows.length + ' images';
};
filters.addEventListener('input', filter);
filters.addEventListener('submit', (event) => event.preventDefault());
filter();

// Rows: a click anywhere opens the image, arrows walk.
body.addEventListener('click', ({ target }) => {
  const row = target.closest('tr');
  if (!target.closest('a') && String(getSelection()) === '') location.hash = row.querySelector('a').hash;
});
body.addEventListener('keydown', (event) => {
  const all = links();
  const at = all.indexOf(event.target);
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 }[event.key];
  if (at < 0 || to === undefined || !all[to]) return;
  event.preventDefault();
  all[to].focus();
});

// Pictures: each is in the file once and shown in as many panes as wanted.
const pane = (stack, kind, caption) => {
  const figure = document.createElement('figure');
  figure.className = 'pane ' + kind;
  const layers = stack.cloneNode(true);
  for (const img of layers.querySelectorAll('img')) img.loading = 'eager';
  const text = document.createElement('figcaption');
  text.textContent = caption;
  figure.append(layers, text);
  return figure;
};
const stackOf = (index) => document.querySelector('[data-picture="' + index + '"] .stack');
for (const panes of document.querySelectorAll('.card .panes')) {
  const overlay = panes.querySelector('.pane');
  panes.prepend(pane(overlay.querySelector('.stack'), 'original', 'Original'));
  const text = document.createElement('figcaption');
  text.textContent = 'Heatmap over it';
  overlay.append(text);
  panes.addEventListener('click', () => { location.hash = 'image-' + panes.dataset.picture; });
}

// One image, large.
const viewer = byId('viewer');
const fact = (name, value) => {
  const line = document.createElement('div');
  const dt = document.createElement('dt');
  const dd = document.createElement('dd');
  dt.textContent = name;
  dd.textContent = value;
  line.append(dt, dd);
  return line;
};
let current;
let opener;
const show = (row) => {
  current = row;
  const cells = [...row.cells];
  byId('viewer-name').textContent = cells[0].dataset.sort;
  byId('viewer-facts').replaceChildren(...cells.slice(1, -1).map((cell, i) =>
    fact(heads[i + 1].textContent, cell.textContent)));
  const all = links();
  const at = all.indexOf(row.querySelector('a'));
  byId('position').textContent = at < 0 ? 'not in the filter' : (at + 1) + ' of ' + all.length;
  byId('previous').disabled = at <= 0;
  byId('next').disabled = at < 0 || at === all.length - 1;
  const stack = stackOf(row.id.slice('row-'.length));
  byId('viewer-picture').hidden = !stack;
  byId('no-picture').hidden = Boolean(stack);
  byId('panes').replaceChildren(...(stack ? [pane(stack, 'original', 'Original'),
    pane(stack, 'overlay', 'Heatmap over it'), pane(stack, 'heatmap', 'Heatmap')] : []));
  byId('truth-switch').hidden = !stack?.querySelector('.truth');
  byId('predicted-switch').hidden = !stack?.querySelector('.predicted');
  if (!viewer.open) {
    opener = document.activeElement;
    viewer.showModal();
  }
  viewer.scrollTop = 0;
};
const follow = () => {
  // No element has this id, so that the page behind stays where it is.
  const [, index] = /^#image-([0-9]+)$/.exec(location.hash) ?? [];
  const row = index && byId('row-' + index);
  if (row) show(row);
  else if (viewer.open) viewer.close();
};
addEventListener('hashchange', follow);
const step = (by) => {
  const all = links();
  const to = all[all.indexOf(current.querySelector('a')) + by];
  // Not one entry of the history for each image that one leafs through.
  if (to && all.includes(current.querySelector('a'))) location.replace(to.hash);
};
byId('previous').addEventListener('click', () => step(-1));
byId('next').addEventListener('click', () => step(1));
byId('close').addEventListener('click', () => viewer.close());
viewer.addEventListener('click', ({ target }) => { if (target === viewer) viewer.close(); });
viewer.addEventListener('keydown', (event) => {
  if (event.target.type === 'range') return;
  if (event.key === 'ArrowLeft') step(-1);
  if (event.key === 'ArrowRight') step(1);
});
viewer.addEventListener('close', () => {
  history.replaceState(null, '', location.pathname + location.search);
  // Who came from the table goes on where the leafing ended; others are sent back by the browser.
  if (body.contains(opener)) current.querySelector('a').focus();
});
const opacity = byId('opacity');
opacity.addEventListener('input', () => viewer.style.setProperty('--opacity', opacity.value / 100));
for (const kind of ['truth', 'predicted']) {
  byId('show-' + kind).addEventListener('change', ({ target }) => viewer.classList.toggle('no-' + kind, !target.checked));
}
follow();

// Copying. Where the browser forbids it, the text is selected, to be copied by hand.
const copy = async (button, text, element) => {
  const label = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = 'Copied';
  } catch {
    if (element) getSelection().selectAllChildren(element);
    button.textContent = element ? 'Selected' : 'Not allowed here';
  }
  setTimeout(() => { button.textContent = label; }, 2000);
};
for (const button of document.querySelectorAll('.copy')) {
  const code = button.previousElementSibling;
  button.addEventListener('click', () => copy(button, code.textContent, code));
}
byId('copy-record').addEventListener('click', ({ target }) => copy(target, byId('record').textContent));
`;
