/** All engines by name, ours first. Each is loaded in a process of its own. */
import { OURS } from '../../record';
import type { EngineLoader } from '../engine';
import { NAME as JAX, loadJax } from './jax';
import { loadOnnxRuntime, NAME as ONNX_RUNTIME } from './onnxruntime';
import { loadOurs } from './ours';
import { loadTfjs, NAME as TFJS } from './tfjs';

export interface EngineEntry {
  readonly load: EngineLoader;
  /** npm package that must be installed; ours needs none. */
  readonly package?: string;
}

export const ENGINES: Readonly<Record<string, EngineEntry>> = {
  [OURS]: { load: loadOurs },
  'onnxruntime-webgpu': { load: loadOnnxRuntime, package: ONNX_RUNTIME },
  'tfjs-webgpu': { load: loadTfjs, package: TFJS },
  'jax-js': { load: loadJax, package: JAX },
};
