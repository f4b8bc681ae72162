/** What reports do by themselves. Plain script, allowed by its hash alone. */

/** A click on a heading sorts the table; "sorted" tells what else has to follow. */
export const sorting = `
const table = document.getElementById('table');
const body = table.tBodies[0];
const heads = [...table.tHead.rows[0].cells];
heads.forEach((head, column) => head.firstChild.addEventListener('click', () => {
  const numeric = head.classList.contains('number');
  // Numbers start with the highest: that is what one looks for.
  const down = head.ariaSort ? head.ariaSort === 'ascending' : numeric;
  heads.forEach((other) => other.removeAttribute('aria-sort'));
  head.setAttribute('aria-sort', down ? 'descending' : 'ascending');
  const key = (row) => row.cells[column].dataset.sort ?? row.cells[column].textContent;
  const { compare } = new Intl.Collator(undefined, { numeric: true });
  const order = (a, b) => numeric ? a - b : compare(a, b);
  const rows = [...body.rows].map((row) => [key(row), row]);
  rows.sort(([a], [b]) => a === '' || b === '' ? (a === '') - (b === '') : (down ? -1 : 1) * order(a, b));
  body.append(...rows.map(([, row]) => row));
  table.dispatchEvent(new Event('sorted'));
}));
`;

/** Of a detection report: sorting, the before/after cut, opacity. */
export const script = `
'use strict';
${sorting}
// The pictures follow the table.
table.addEventListener('sorted', () => {
  const cards = [...body.rows].map((row) => document.getElementById(row.dataset.card)).filter(Boolean);
  document.querySelector('.cards')?.append(...cards);
});
const set = (pair, name, value) => pair.style.setProperty(name, value);
for (const card of document.querySelectorAll('.card')) {
  const pair = card.querySelector('.pair');
  const cut = card.querySelector('.cut');
  const opacity = card.querySelector('.opacity');
  cut.addEventListener('input', () => set(pair, '--cut', cut.value + '%'));
  opacity.addEventListener('input', () => set(pair, '--opacity', opacity.value / 100));
}
document.getElementById('opacity-all')?.addEventListener('input', ({ target }) => {
  for (const opacity of document.querySelectorAll('.opacity')) {
    opacity.value = target.value;
    opacity.dispatchEvent(new Event('input'));
  }
});
document.querySelector('.plot')?.addEventListener('click', ({ target }) => {
  const card = document.getElementById('image-' + target.dataset.row);
  if (card) location.hash = card.id;
});
`;
