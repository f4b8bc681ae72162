/** Elements as data: a report writes them as HTML, a page makes them nodes without parsing any text. */
import { text } from '../../src/report/page';

export interface Markup {
  readonly tag: string;
  readonly attributes: Readonly<Record<string, string | number>>;
  readonly children: readonly (Markup | string)[];
}

export function el(
  tag: string,
  attributes: Markup['attributes'] = {},
  ...children: readonly (Markup | string)[]
): Markup {
  return { tag, attributes, children };
}

/** HTML; all text is text, whatever it holds. */
export function html(markup: Markup | string): string {
  if (typeof markup === 'string') return text(markup);
  const { tag, attributes, children } = markup;
  const list = Object.entries(attributes).map(([name, value]) => ` ${name}="${text(String(value))}"`);
  return `<${tag}${list.join('')}>${children.map(html).join('')}</${tag}>`;
}
