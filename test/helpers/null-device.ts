import { create } from 'webgpu';

/** Devices die with the instance that they are of, which nothing else keeps. */
const instances: GPU[] = [];

/**
 * Dawn's null backend: it offers every feature, checks all texts and computes nothing. For kernels that no adapter here can run. It has
 * no more than 16 KiB of workgroup memory.
 */
export async function openNullDevice(features: readonly GPUFeatureName[]): Promise<GPUDevice> {
  const nowhere = create(['backend=null', 'enable-dawn-features=allow_unsafe_apis']);
  instances.push(nowhere);
  const adapter = (await nowhere.requestAdapter())!;
  return adapter.requestDevice({ requiredFeatures: [...features] });
}

/** What Dawn has to say about a module and its pipeline: nothing where it takes both. */
export async function complaints(device: GPUDevice, code: string, entryPoint?: string): Promise<string[]> {
  device.pushErrorScope('validation');
  const module = device.createShaderModule({ code });
  const { messages } = await module.getCompilationInfo();
  const found = messages.map(({ lineNum, message }) => `line ${lineNum}: ${message}`);
  if (entryPoint !== undefined)
    await device
      .createComputePipelineAsync({ layout: 'auto', compute: { module, entryPoint } })
      .catch((error: unknown) => void found.push(String(error)));
  const error = await device.popErrorScope();
  return error ? [...found, error.message] : found;
}
