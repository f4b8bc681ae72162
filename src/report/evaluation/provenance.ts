/** How an evaluation came about, so that someone else can have it again. */
import type { EvaluationRecord } from '../../evaluation/record';
import { facts, plural, text } from '../page';

export function provenance(record: EvaluationRecord, fingerprint: string): string {
  const { configuration, versions, commands, failures } = record;
  const lines = (entries: Readonly<Record<string, unknown>>) =>
    facts(Object.entries(entries).map(([name, value]) => [spaced(name), String(value)] as const));
  const steps = commands.map(
    (command) => `<li class="command"><code>${words(command)}</code>${copyButton}</li>`,
  );
  return `<div class="columns">
<section class="panel"><h3>Configuration</h3><dl class="facts">${lines(configuration)}</dl></section>
<section class="panel"><h3>Versions</h3><dl class="facts">${lines(versions)}</dl></section>
</div>
<section class="panel"><h3>Commands <span class="count">in this order</span></h3>
${steps.length > 0 ? `<ol class="commands">${steps.join('')}</ol>` : '<p class="note">None were recorded.</p>'}</section>
<section class="panel"><h3>Failures <span class="count">${failures.length === 0 ? 'none' : `${plural(failures.length, 'image')}, in no number above`}</span></h3>
${
  failures.length > 0
    ? `<ul class="failures">${failures.map(({ name, message }) => `<li><b>${text(name)}</b> ${text(message)}</li>`).join('')}</ul>`
    : '<p class="note">Every image was read and scored.</p>'
}</section>
<section class="panel"><h3>For machines and for citing</h3>
<p>All numbers of this page, every image&rsquo;s score included, are in it as JSON, in the element with the id <code>record</code>:
format &ldquo;${text(record.format)}&rdquo;, null for what is undefined. It is what <code>results.json</code> holds; this is that file&rsquo;s
SHA-256, which tells these results from any others:</p>
<p class="command"><code>${fingerprint}</code>${copyButton}</p>
<p><button type="button" id="copy-record">Copy the JSON</button></p></section>`;
}

/** "imageSize" as "image size". */
function spaced(name: string): string {
  return name.replace(/(?<=[a-z])[A-Z]/g, (capital) => ` ${capital.toLowerCase()}`);
}

/** A command whose lines break between words, not within options. */
function words(command: string): string {
  return text(command).replace(/\S+/g, '<span>$&</span>');
}

const copyButton = '<button type="button" class="copy">Copy</button>';
