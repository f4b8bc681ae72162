import type { Command } from 'commander';
import { type DoctorReport, examine } from '../doctor-report';

/** `mla-lp doctor`: which adapter there is, what it can do, and what would be better. Exit code 1 if none is usable. */
export function registerDoctor(program: Command): void {
  program
    .command('doctor')
    .description('show the WebGPU adapter, its limits and features, and what to install for better')
    .option('--json', 'print one JSON object')
    .action(async (options: { json?: boolean }) => {
      const report = await examine();
      console.log(options.json ? JSON.stringify(report, null, 2) : describeReport(report));
      if (!report.usable) process.exitCode = 1;
    });
}

/** The report for people. */
export function describeReport(report: DoctorReport): string {
  const { adapter, features, precision, system } = report;
  const lines: string[] = [];
  const row = (name: string, value: string) => lines.push(`${name.padEnd(14)}${value}`);

  row('mla-lp', `${system.mlaLp}, Node ${system.node}, ${system.os}`);
  row('machine', `${system.cpu}, ${system.cores} cores, ${bytes(system.memoryBytes)} of memory`);
  if (adapter) {
    lines.push('');
    row('adapter', adapter.description || `${adapter.vendor} ${adapter.device}`);
    row('vendor', [adapter.vendor, adapter.architecture, adapter.device].filter(Boolean).join(', '));
    row('source', adapter.source + (adapter.software ? ' (computes on the CPU)' : ''));
    row('why', adapter.reason);
  }
  list(
    'looked at',
    report.considered.map(({ what, outcome }) => `${what}: ${outcome}`),
  );
  if (features) {
    lines.push('');
    const { subgroups } = features;
    row('f16', features.f16 ? 'yes' : 'no');
    row('subgroups', subgroups ? sizes(subgroups) : 'no');
    row('timestamps', features.timestamps ? 'yes' : 'no');
    row('matrix units', features.subgroupMatrix.join('; ') || 'no');
  }
  if (precision)
    row('precision', `${precision.pick} (there is ${precision.modes.join(' and ')}): ${precision.why}`);
  if (adapter) row('tuned', tunedLine(report.tuned));
  list('limits', report.limits.map(limitLine));
  const { denoEnvironment } = report;
  if (denoEnvironment) {
    const variables = Object.entries(denoEnvironment).map(([name, value]) => `${name}=${value}`);
    list('for Deno, set', variables);
  }
  list('for better', report.advice);
  lines.push('');
  if (report.usable) {
    lines.push('Ready: a device opens and computes.');
  } else {
    lines.push('NOT USABLE', report.problem?.fact ?? '', report.problem?.remedy ?? '');
  }
  return lines.join('\n');

  function list(title: string, items: readonly string[]): void {
    if (items.length > 0) lines.push('', title, ...items.map((item) => `  ${item}`));
  }
}

function tunedLine(tuned: DoctorReport['tuned']): string {
  if (!tuned) return "no table; every kernel is the engine's own choice";
  if (tuned.rows === 0) return tuned.notes.join(' ') || `${tuned.source} has no rows`;
  return [`${tuned.rows} calls, ${tuned.source}`, ...tuned.notes].join('. ');
}

function limitLine({ limit, needs, has, unit }: DoctorReport['limits'][number]): string {
  const text = (value: number) => (unit === 'bytes' ? bytes(value) : String(value));
  const verdict = has >= needs ? '' : '  TOO SMALL';
  return `${limit.padEnd(36)}${text(has).padStart(10)}   needs ${text(needs)}${verdict}`;
}

function sizes({ min, max }: { min: number; max: number }): string {
  return min === max ? `of ${min}` : `of ${min} to ${max}`;
}

function bytes(value: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let power = 0;
  let scaled = value;
  for (; scaled >= 1024 && power < units.length - 1; power++) scaled /= 1024;
  return `${Number.isInteger(scaled) ? scaled : scaled.toFixed(1)} ${units[power]}`;
}
