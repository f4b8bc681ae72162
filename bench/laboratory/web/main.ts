/** The laboratory in a page: the same code as `bench kernel`, on the browser's device. */

import { version } from '../../../src/io/version';
import { suites } from '../../../src/kernels/suites';
import { acquireAdapter } from '../../../src/platform/browser/adapter';
import { Gpu } from '../../../src/runtime/device';
import { measureCeilings } from '../../ceiling/ceiling';
import { type Ceilings, describeDevice } from '../../record';
import { Session } from '../../session';
import { type LaboratoryRecord, runLaboratory } from '../laboratory';
import { el } from '../markup';
import { laboratoryStyles } from '../page';
import { type CaseWords, caseOf, suiteNamed } from '../request';
import { TimeLimitError } from '../time-limit';
import { laboratoryView } from '../view';
import { toDom } from './dom';
import { formStyles } from './styles';

const byId = <T extends HTMLElement>(id: string) => document.getElementById(id) as T;
const input = (id: string) => byId<HTMLInputElement>(id);
const select = (id: string) => byId<HTMLSelectElement>(id);

/** In the list of cases: the shape's field instead of the table. */
const OWN_SHAPE = '';

const sheet = new CSSStyleSheet();
sheet.replaceSync(laboratoryStyles + formStyles);
document.adoptedStyleSheets = [sheet];

function say(text: string): void {
  byId('status').textContent = text;
}

function option(text: string, value = text): Node {
  return toDom(el('option', { value }, text));
}

/** Fields that only some ops have. */
function showOp(): void {
  const { op, cases, shaped } = suiteNamed(select('op').value);
  const names = cases.map(({ name }) => option(name));
  select('case').replaceChildren(...(shaped ? [option('a shape of your own', OWN_SHAPE)] : []), ...names);
  input('shape').placeholder = shaped?.axes[0] === '...' ? '290x1024' : (shaped?.axes.join(' x ') ?? '');
  byId('choices').replaceChildren(
    toDom(el('legend', {}, 'Of this shape')),
    ...Object.entries(shaped?.choices ?? {}).map(([name, values]) =>
      toDom(
        values === 'flag'
          ? el('label', { class: 'choice' }, el('input', { type: 'checkbox', name }), name)
          : el('label', {}, name, el('select', { name }, ...values.map((value) => el('option', {}, value)))),
      ),
    ),
  );
  byId('variants').replaceChildren(
    toDom(el('legend', {}, 'Variants')),
    ...op.variants.map(({ name }) =>
      toDom(el('label', { class: 'choice' }, el('input', { type: 'checkbox', name, checked: '' }), name)),
    ),
  );
  showCase();
}

/** A case of the table has its own shape, type and choices. */
function showCase(): void {
  const table = select('case').value !== OWN_SHAPE;
  byId('shape-field').hidden = table;
  input('shape').required = !table;
  const { shaped } = suiteNamed(select('op').value);
  byId('choices').hidden = table || !shaped?.choices;
  byId('dtype').parentElement!.hidden = table;
}

function words(): CaseWords {
  const name = select('case').value;
  if (name !== OWN_SHAPE) return { case: name };
  const fields = byId('choices').querySelectorAll<HTMLInputElement | HTMLSelectElement>('[name]');
  const choices = Object.fromEntries(
    Array.from(fields, (field) => [
      field.name,
      field instanceof HTMLInputElement ? field.checked : field.value,
    ]),
  );
  return { shape: input('shape').value, dtype: select('dtype').value as 'f32' | 'f16', choices };
}

interface Device {
  readonly gpu: Gpu;
  ceilings?: Ceilings;
}

let device: Device | undefined;

async function openDevice(): Promise<Device> {
  if (device && !device.gpu.isLost) return device;
  say('Opening a device');
  device = { gpu: await Gpu.open(await acquireAdapter()) };
  return device;
}

async function run(): Promise<void> {
  const suite = suiteNamed(select('op').value);
  const wgsl = byId<HTMLTextAreaElement>('wgsl').value;
  const request = {
    suite,
    case: caseOf(suite, words()),
    variants: Array.from(byId('variants').querySelectorAll<HTMLInputElement>(':checked'), ({ name }) => name),
    limitMs: 1000 * input('limit').valueAsNumber,
    ...(wgsl.trim() && { own: { file: 'yours.wgsl', wgsl } }),
  };
  const opened = await openDevice();
  const { gpu } = opened;
  const session = new Session(gpu, {
    budget: input('budget').valueAsNumber,
    timestamps: false,
    onProgress: (label, done, total) => say(`${label}: ${done} of ${total}`),
  });
  const result = await runLaboratory(session, request, async () => {
    await session.measureEmptyRun();
    opened.ceilings ??= await measureCeilings(session, false);
    return opened.ceilings;
  });
  const record: LaboratoryRecord = {
    device: describeDevice(gpu),
    versions: { 'mla-lp': version, browser: navigator.userAgent },
    date: new Date().toISOString(),
    clock: session.clock,
    skipped: session.skipped,
    failed: session.failed,
    ...result,
  };
  show(record);
  say(`${result.op} ${result.case} on ${gpu.name}`);
}

let saved = '';

function show(record: LaboratoryRecord): void {
  byId('results').replaceChildren(...laboratoryView(record).map((part) => toDom(part)));
  URL.revokeObjectURL(saved);
  saved = URL.createObjectURL(new Blob([JSON.stringify(record, null, 2)], { type: 'application/json' }));
  byId('saved').replaceChildren(
    toDom(el('a', { href: saved, download: `${record.op}.json` }, 'Save as JSON')),
  );
}

function fail(error: unknown): void {
  const box = byId('error');
  box.hidden = false;
  box.textContent = error instanceof Error ? error.message : String(error);
  say('Nothing was measured');
  if (!(error instanceof TimeLimitError)) return;
  // Another device may be free of the kernel that does not end; where it is not, a new page helps.
  device?.gpu.destroy();
  device = undefined;
  box.textContent += ' If the next run does not begin, load this page again.';
}

byId<HTMLFormElement>('request').addEventListener('submit', async (event) => {
  event.preventDefault();
  const button = event.submitter as HTMLButtonElement;
  button.disabled = true;
  say('Looking at the request');
  byId('error').hidden = true;
  byId('results').replaceChildren();
  byId('saved').replaceChildren();
  await run().catch(fail);
  button.disabled = false;
  // A disabled button loses the keyboard's focus.
  if (document.activeElement === document.body) button.focus();
});
select('op').append(...suites.map(({ op }) => option(op.name)));
select('op').value = 'gemm';
select('op').addEventListener('change', showOp);
select('case').addEventListener('change', showCase);
showOp();
