/** Elements made of data, without parsing any text: the page's policy allows no other way. */
import type { Markup } from '../markup';

const SVG = 'http://www.w3.org/2000/svg';

export function toDom(markup: Markup | string, svg = false): Node {
  if (typeof markup === 'string') return document.createTextNode(markup);
  const within = svg || markup.tag === 'svg';
  const element = within ? document.createElementNS(SVG, markup.tag) : document.createElement(markup.tag);
  for (const [name, value] of Object.entries(markup.attributes)) element.setAttribute(name, String(value));
  element.append(...markup.children.map((child) => toDom(child, within)));
  return element;
}
