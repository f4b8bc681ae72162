/** What the device's WGSL compiler says of a kernel, by the lines of the file that a person edits. */
import type { Gpu } from '../../src/runtime/device';
import type { KernelSource } from '../../src/runtime/op';
import { type Specialisation, specialise } from '../../src/runtime/specialise';

export interface Diagnosis {
  /** The kernel's file, or the name of an include. */
  readonly file: string;
  /** 1-based; 0: unknown. */
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

/**
 * Compiles the specialised text with a mark at the end of every line that says where it is from: blocks that fall out, includes and
 * unrolled loops move lines. @returns errors; empty when it compiles.
 */
export async function diagnose(gpu: Gpu, kernel: KernelSource, spec: Specialisation): Promise<Diagnosis[]> {
  const includes = Object.fromEntries(
    Object.entries(kernel.includes ?? {}).map(([name, text]) => [name, marked(name, text)]),
  );
  const code = specialise(kernel.name, marked('', kernel.wgsl), { ...spec, includes });
  const { device } = gpu;
  device.pushErrorScope('validation');
  const module = device.createShaderModule({ label: kernel.name, code });
  const [info] = await gpu.guard(Promise.all([module.getCompilationInfo(), device.popErrorScope()]));
  const lines = code.split('\n');
  return info.messages
    .filter(({ type }) => type === 'error')
    .map(({ lineNum, linePos, message }) => {
      const rest = [(lines[lineNum - 1] ?? '').slice(linePos - 1), ...lines.slice(lineNum)].join('\n');
      // A line ends with its mark; the copies of a loop that stood on one line all end with the last one's.
      const [, name, line] = new RegExp(MARK.source).exec(rest) ?? [];
      return {
        file: name || kernel.name,
        line: Number(line ?? 0),
        column: linePos,
        message: message.replace(MARK, '').trim(),
      };
    });
}

/** "file:line:column message" lines. */
export function formatDiagnoses(found: readonly Diagnosis[]): string {
  return found.map(({ file, line, column, message }) => `${file}:${line}:${column} ${message}`).join('\n');
}

const MARK = /\/\*@(\w*):(\d+)\*\//g;

/** Block comments nest in WGSL, so that a mark does no harm within one. Directives are left alone: they end with their line. */
function marked(name: string, text: string): string {
  return text
    .split('\n')
    .map((line, i) => (/^\s*\/\/ @/.test(line) ? line : `${line} /*@${name}:${i + 1}*/`))
    .join('\n');
}
