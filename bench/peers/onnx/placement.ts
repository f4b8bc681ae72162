/** Where ONNX Runtime ran the nodes of a model, by its own profile, which it writes on every platform. */
import type { Placement } from '../engine';

export const PROVIDER = 'WebGpuExecutionProvider';
/** Names in an error: enough to know what kind of nodes they are. */
const MOST_NAMES = 3;

/**
 * @param profile what a session wrote: a list of trace events, one of the category `Node` for each run of a node, with its `provider`
 * (onnxruntime.ai/docs/performance/tune-performance/profiling-tools.html).
 * @throws Error when a node ran elsewhere than on WebGPU, or none is told of: such times are another engine's.
 */
export function placementOf(profile: string): Placement {
  const elsewhere = new Map<string, string>();
  const nodes = new Set<string>();
  for (const event of JSON.parse(profile) as readonly TraceEvent[]) {
    const provider = event.args?.provider;
    if (event.cat !== 'Node' || !provider) continue;
    const name = event.name.replace(/_kernel_time$/, '');
    nodes.add(name);
    if (provider !== PROVIDER) elsewhere.set(name, provider);
  }
  if (nodes.size === 0) throw new Error('its profile tells of no node: which backend it used is unknown');
  if (elsewhere.size > 0) {
    const [names, backends] = [[...elsewhere.keys()], [...new Set(elsewhere.values())]];
    const some = names.slice(0, MOST_NAMES).join(', ') + (names.length > MOST_NAMES ? ', ...' : '');
    throw new Error(
      `${elsewhere.size} of ${nodes.size} nodes ran on ${backends.join(', ')}, not on ${PROVIDER}: ${some}`,
    );
  }
  return { backend: PROVIDER, nodes: nodes.size };
}

interface TraceEvent {
  readonly cat: string;
  readonly name: string;
  readonly args?: { readonly provider?: string };
}
