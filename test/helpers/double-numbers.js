// Doubles 0..999 on the GPU: the least that a browser or Deno must be able to do. Runs as it is in both.
const SHADER = `
@group(0) @binding(0) var<storage, read_write> values: array<f32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x < arrayLength(&values)) { values[id.x] *= 2.0; }
}`;

/** @returns {Promise<{ values: number[], info: Record<string, unknown>, features: string[] }>} */
export async function doubleNumbers() {
  const adapter = await navigator.gpu.requestAdapter();
  const device = await adapter.requestDevice();
  const size = 4000;
  const storage = device.createBuffer({ size, usage: 0x80 | 0x4 | 0x8 });
  const staging = device.createBuffer({ size, usage: 0x1 | 0x8 });
  device.queue.writeBuffer(
    storage,
    0,
    Float32Array.from({ length: 1000 }, (_, i) => i),
  );
  const module = device.createShaderModule({ code: SHADER });
  const pipeline = await device.createComputePipelineAsync({ layout: 'auto', compute: { module } });
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  const layout = pipeline.getBindGroupLayout(0);
  pass.setBindGroup(
    0,
    device.createBindGroup({ layout, entries: [{ binding: 0, resource: { buffer: storage } }] }),
  );
  pass.dispatchWorkgroups(16);
  pass.end();
  encoder.copyBufferToBuffer(storage, 0, staging, 0, size);
  device.queue.submit([encoder.finish()]);
  await staging.mapAsync(1);
  const values = [...new Float32Array(staging.getMappedRange())];
  staging.unmap();
  const { vendor, architecture, description, isFallbackAdapter } = adapter.info;
  device.destroy();
  return {
    values,
    info: { vendor, architecture, description, isFallbackAdapter },
    features: [...adapter.features],
  };
}

if ('Deno' in globalThis) console.log(JSON.stringify(await doubleNumbers()));
