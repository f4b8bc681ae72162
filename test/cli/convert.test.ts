import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { registerConvert } from '../../src/cli/commands/convert';
import { inspectWeights } from '../../src/cli/commands/weights';
import { BadFileError, OptionError } from '../../src/runtime/errors';

const fixture = (name: string) => fileURLToPath(new URL(`../fixtures/weights/${name}`, import.meta.url));
let folder: string;
let said: string[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'convert-'));
  said = [];
  vi.spyOn(console, 'error').mockImplementation((line: string) => void said.push(line));
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true });
});

async function convert(...args: string[]): Promise<string> {
  const program = new Command('mla-lp').exitOverride().configureOutput({ writeErr: () => {} });
  registerConvert(program);
  await program.parseAsync(['convert', ...args], { from: 'user' });
  return said.join('\n');
}

test('both directions; the layout follows from the prompts unless it is named', async () => {
  const [torch, back, adapters] = ['a.pth', 'b.safetensors', 'c.pt'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  expect(await convert(fixture('mla-lp.safetensors'), torch)).toContain('layout mla-lp');
  expect((await inspectWeights(torch)).tensors.map(({ name }) => name)).toContain(
    'state_dict.prompt_learner.ctx.abnormal_end',
  );
  await convert(torch, back, '--quiet');
  expect(await inspectWeights(back)).toMatchObject({
    format: 'safetensors',
    checkpoint: { stages: 4, width: 128, embed: 48, hasPrompts: true, promptVectors: 8, textWidth: 64 },
  });
  expect(statSync(back).mode & 0o077).toBe(0);
  expect(await convert(torch, adapters, '--format', 'mvfa')).toContain('Scores will differ');
  expect((await inspectWeights(adapters)).checkpoint).toMatchObject({ hasPrompts: false });
  said = [];
  expect(await convert(fixture('mvfa.pth'), join(folder, 'd.pth'))).toMatch(/layout mvfa; .* no prompts\.$/);
});

test('what cannot be is refused and writes nothing', async () => {
  const out = join(folder, 'out.pth');
  const cases: [string[], new (...args: never[]) => Error, string][] = [
    [[fixture('mvfa.pth'), out, '--format', 'mla-lp'], OptionError, 'no learned prompts'],
    [[fixture('mla-lp.pth'), join(folder, 'out.zip')], OptionError, 'ending'],
    [[fixture('mla-lp.pth'), join(folder, 'x.safetensors'), '--format', 'mvfa'], OptionError, '--format'],
    [[fixture('openai.safetensors'), out], BadFileError, 'no adapters'],
    [[join(folder, 'none.pth'), out], BadFileError, 'cannot be opened'],
  ];
  for (const [args, kind, message] of cases) {
    const error = await convert(...args).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(kind);
    expect((error as Error).message).toContain(message);
  }
  expect(existsSync(out)).toBe(false);
  const own = join(folder, 'own.pth');
  writeFileSync(own, readFileSync(fixture('mla-lp.pth')));
  symlinkSync(own, join(folder, 'link.pth'));
  await expect(convert(own, join(folder, 'link.pth'))).rejects.toThrow('is the input');
  expect(readFileSync(own).equals(readFileSync(fixture('mla-lp.pth')))).toBe(true);
});
