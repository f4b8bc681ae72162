import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { DoctorReport } from '../../src/cli/doctor-report';

const CLI = join(import.meta.dirname, '../../dist/cli.js');

function doctor(args: string[], env: Record<string, string> = {}) {
  return spawnSync(process.execPath, [CLI, 'doctor', ...args], {
    encoding: 'utf8',
    env: { ...process.env, ...env },
    timeout: 30_000,
  });
}

// `npm test` builds first; a lone `vitest run` may not have.
describe.skipIf(!existsSync(CLI) && !process.env.CI)('mla-lp doctor', () => {
  test('--json prints one object that says what was found', () => {
    const { stdout, status } = doctor(['--json']);
    const report = JSON.parse(stdout) as DoctorReport;
    expect(status, report.problem?.fact).toBe(0);
    expect(report).toMatchObject({
      usable: true,
      system: { node: process.version, cores: expect.any(Number), memoryBytes: expect.any(Number) },
      adapter: {
        vendor: expect.any(String),
        description: expect.any(String),
        source: expect.stringMatching(/^(hardware|installed-software|bundled-swiftshader)$/),
        software: expect.any(Boolean),
        reason: expect.stringMatching(/\.$|\)$/),
      },
      features: {
        f16: expect.any(Boolean),
        timestamps: expect.any(Boolean),
        subgroupMatrix: expect.any(Array),
      },
      precision: { pick: 'f32', modes: expect.arrayContaining(['f32']) },
    });
    expect(report.considered.length).toBeGreaterThan(0);
    expect(report.limits.map((row) => row.limit)).toContain('maxStorageBufferBindingSize');
    for (const { limit, needs, has } of report.limits) expect(has, limit).toBeGreaterThanOrEqual(needs);
    expect(report.precision?.modes.includes('f16')).toBe(report.features?.f16);
  });

  test('people get the adapter, the reason and a verdict', () => {
    const { stdout, status } = doctor([]);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^adapter {2,}\S/m);
    expect(stdout).toMatch(/^why {2,}\S/m);
    expect(stdout).toMatch(/Ready: a device opens and computes\.\n$/);
  });

  test('no adapter: exit code 1, the fact and what to install', () => {
    // An empty driver list hides every installed Vulkan driver, GPUs included.
    const { stdout, status } = doctor(['--json'], {
      MLA_LP_ADAPTER: 'hardware',
      VK_DRIVER_FILES: '/nonexistent.json',
      VK_ICD_FILENAMES: '/nonexistent.json',
    });
    if (process.platform !== 'linux') return;
    const report = JSON.parse(stdout) as DoctorReport;
    expect(status).toBe(1);
    expect(report.usable).toBe(false);
    expect(report.problem?.fact).toContain('hardware');
    expect(report.problem?.remedy).toContain('install');
  });

  test('a wrong MLA_LP_ADAPTER is named', () => {
    const { stdout, status } = doctor([], { MLA_LP_ADAPTER: 'quantum' });
    expect(status).toBe(1);
    expect(stdout).toContain('MLA_LP_ADAPTER is "quantum"');
  });
});
