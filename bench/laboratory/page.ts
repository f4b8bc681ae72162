/** One HTML file with the roofline and its tables: no network, no script of its own (src/report/page.ts has the policy). */
import { version } from '../../src/io/version';
import { facts, minute, pageEnd, pageStart, text } from '../../src/report/page';
import { baseStyles } from '../../src/report/styles';
import type { ReadRecord } from '../read-record';
import type { RecordHead } from '../table';
import { html, type Markup } from './markup';
import { rooflineStyles } from './roofline';

/** Of this page and of the laboratory's own. */
export const laboratoryStyles = `${baseStyles}${rooflineStyles}
header .facts{margin-bottom:1.2rem}
figure.plot{margin:1rem 0 1.4rem;padding:.9rem 1rem;background:var(--panel);border:1px solid var(--line);border-radius:.6rem}
.keys{list-style:none;display:flex;gap:1.2rem;margin:.4rem 0 0;padding:0;font-size:.88rem}
.keys li{display:flex;align-items:center;gap:.45rem}
.key{width:.7rem;height:.7rem;border-radius:50%;background:var(--normal)}
.key.f16{background:var(--abnormal)}
.scroll{margin:0 0 1.1rem}
.note{color:var(--soft);font-size:.88rem}
section li{overflow-wrap:anywhere;white-space:pre-wrap}
thead th{vertical-align:bottom}
`.replaceAll('\n', '');

/** What a page says about the record that it shows; records from elsewhere may say less. */
type Head = RecordHead | Pick<ReadRecord, 'device' | 'versions' | 'date' | 'commit' | 'clock'>;

/** @param title in the head and as the heading. @param body of `laboratoryView` or `recordView`. */
export async function rooflinePage(title: string, head: Head, body: readonly Markup[]): Promise<string> {
  const shell = { title, version, styles: laboratoryStyles, script: '' };
  const { device, versions, commit, clock } = head;
  const date = new Date(head.date ?? '');
  const software = Object.entries(versions).filter(([, one]) => typeof one === 'string');
  const lines: [string, string | undefined][] = [
    ['Device', typeof device.name === 'string' ? device.name : undefined],
    ['Clock', clock && { timestamp: 'GPU timestamps', wall: 'wall clock less an empty run' }[clock]],
    ['Date', Number.isNaN(date.getTime()) ? head.date : minute(date)],
    ['Software', software.map((pair) => pair.join(' ')).join(', ') || undefined],
    ['Commit', commit],
  ];
  const known = lines.filter((line): line is [string, string] => line[1] !== undefined);
  return `${await pageStart(shell)}<header>
<h1>${text(title)}</h1>
<dl class="facts">${facts(known)}</dl>
</header>
<main>
${body.map(html).join('\n')}
</main>
<footer>Made by mla-lp ${text(version)}.</footer>
${pageEnd(shell)}`;
}
