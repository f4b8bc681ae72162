/** Reads bindings and workgroup size out of WGSL text, so that no dispatch repeats a layout. */
import { WgslReflect } from 'wgsl_reflect/wgsl_reflect.module.js';
import { MlaLpError } from './errors';

export interface BindingLayout {
  readonly name: string;
  readonly binding: number;
  readonly access: 'read' | 'read_write';
}

export interface ShaderLayout {
  readonly entryPoint: string;
  readonly bindings: readonly BindingLayout[];
}

const cache = new Map<string, ShaderLayout>();

/** Layout of the one compute entry point in `wgsl`; storage buffers in group 0 only. */
export function reflect(name: string, wgsl: string): ShaderLayout {
  const known = cache.get(wgsl);
  if (known) return known;
  let parsed: WgslReflect;
  try {
    parsed = new WgslReflect(parseable(wgsl));
  } catch (cause) {
    throw new MlaLpError('bad-value', `WGSL template ${name} does not parse.`, String(cause), { cause });
  }
  const entry = parsed.entry.compute[0];
  if (!entry || parsed.entry.compute.length !== 1) {
    throw new MlaLpError('bad-value', `WGSL template ${name} must have one compute entry point.`, '');
  }
  const bindings = parsed.storage.map((variable): BindingLayout => {
    if (variable.group !== 0) {
      throw new MlaLpError('bad-value', `WGSL template ${name}: ${variable.name} is not in group 0.`, '');
    }
    return {
      name: variable.name,
      binding: variable.binding,
      access: variable.access === 'read_write' ? 'read_write' : 'read',
    };
  });
  const layout = { entryPoint: entry.name, bindings };
  cache.set(wgsl, layout);
  return layout;
}

/**
 * wgsl_reflect 1.6 knows neither the types nor the calls of subgroup matrices. A text that has them keeps its declarations only:
 * such types become u32, and functions lose their bodies.
 */
function parseable(wgsl: string): string {
  if (!/^enable chromium_experimental_subgroup_matrix;/m.test(wgsl)) return wgsl;
  const declared = wgsl
    .replace(/\/\/[^\n]*/g, '')
    .replace(/^diagnostic\([^)]*\);/gm, '')
    .replace(/\bsubgroup_matrix_(left|right|result)\s*<[^>]*>/g, 'u32');
  let text = '';
  let rest = declared;
  for (let match = /\bfn\s[^{]*\{/.exec(rest); match; match = /\bfn\s[^{]*\{/.exec(rest)) {
    let end = match.index + match[0].length;
    text += `${rest.slice(0, end)}}`;
    for (let depth = 1; depth > 0 && end < rest.length; end++) {
      if (rest[end] === '{') depth++;
      if (rest[end] === '}') depth--;
    }
    rest = rest.slice(end);
  }
  return text + rest;
}
