import type { AdapterSource } from '../../runtime/adapter';

/** What to install to get an adapter, or a faster one than what `present` is. Empty where there is nothing to gain. */
export function adapterAdvice(platform: NodeJS.Platform, present: AdapterSource | 'none'): string[] {
  if (present === 'hardware' || present === 'navigator') return [];
  if (platform === 'linux') return linuxAdvice(present);
  if (platform === 'darwin') {
    return [
      'macOS 13 or newer with a Metal device is needed; in a virtual machine, turn on GPU acceleration.',
    ];
  }
  if (platform === 'win32') {
    return [
      "Install your GPU maker's current driver; Windows 10 1809 or newer also has WARP, which computes on the CPU.",
    ];
  }
  return ['Dawn, the WebGPU implementation used in Node, runs on Linux (glibc), macOS and Windows.'];
}

function linuxAdvice(present: AdapterSource | 'none'): string[] {
  const advice = [
    "With a GPU: install its Vulkan driver (NVIDIA: the proprietary driver; AMD and Intel: your distribution's mesa-vulkan-drivers, vulkan-radeon or vulkan-intel) and the Vulkan loader (libvulkan1).",
    'In a container: pass the GPU through (NVIDIA: --gpus all and NVIDIA_DRIVER_CAPABILITIES=all; AMD and Intel: --device /dev/dri).',
  ];
  if (present !== 'installed-software') {
    advice.push(
      'Without a GPU: Mesa 23 or newer brings lavapipe, about twice as fast as SwiftShader and with f16 (Debian 12: apt-get install -t bookworm-backports mesa-vulkan-drivers; Debian 13, Ubuntu 24.04 or newer: apt-get install mesa-vulkan-drivers; Fedora: dnf install mesa-vulkan-drivers).',
    );
  }
  if (present === 'none') {
    advice.push(
      'On x64 Linux with glibc, SwiftShader from npm needs no system package: install again without --omit=optional.',
    );
  }
  return advice;
}
