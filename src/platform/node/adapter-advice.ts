/** What to install to get an adapter (`none`) or a faster one (`software`: the present one computes on the CPU). */
export function adapterAdvice(platform: NodeJS.Platform, situation: 'none' | 'software'): string[] {
  const advice: string[] = [];
  if (platform === 'linux') {
    advice.push(
      "With a GPU: install its Vulkan driver (NVIDIA: the proprietary driver; AMD and Intel: your distribution's mesa-vulkan-drivers or vulkan-radeon/vulkan-intel) and the Vulkan loader (libvulkan1).",
      'Without: Mesa 23 or newer brings lavapipe, about twice as fast as SwiftShader and with f16 (Debian 12: apt-get install -t bookworm-backports mesa-vulkan-drivers; Debian 13, Ubuntu 24.04 and newer: apt-get install mesa-vulkan-drivers; Fedora: dnf install mesa-vulkan-drivers).',
      'In a container, pass the GPU through (NVIDIA: --gpus all with NVIDIA_DRIVER_CAPABILITIES=all).',
    );
    if (situation === 'none') {
      advice.push(
        'On linux-x64 with glibc, SwiftShader needs no system package: reinstall without --omit=optional to get it.',
      );
    }
  } else if (platform === 'darwin') {
    advice.push(
      'macOS 13 or newer with a Metal device is needed; in a virtual machine, turn on GPU acceleration.',
    );
  } else if (platform === 'win32') {
    advice.push(
      "Install your GPU maker's current driver; Windows 10 1809 or newer also has WARP, which computes on the CPU.",
    );
  } else {
    advice.push('Dawn, the WebGPU implementation used in Node, runs on Linux (glibc), macOS and Windows.');
  }
  return advice;
}
