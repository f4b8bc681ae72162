#!/usr/bin/env bash
# Tries to install lavapipe (Mesa's Vulkan on the CPU) on Debian 12, whose own Mesa is too old for Dawn: from
# bookworm-backports. On other systems takes what the distribution has. Ends with 0 and says so when it cannot.
set -uo pipefail

give_up() {
  echo "lavapipe: not installed: $*"
  exit 0
}

[ "$(uname -s)" = Linux ] || give_up 'only for Linux'
command -v apt-get >/dev/null || give_up 'there is no apt-get; install the Mesa Vulkan drivers by hand'
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null && sudo -n true 2>/dev/null || give_up 'needs root or sudo without a password'
  as_root=(sudo -n)
fi
export DEBIAN_FRONTEND=noninteractive
apt=("${as_root[@]}" timeout 600 apt-get -y -q -o Acquire::Retries=3 -o DPkg::Lock::Timeout=120)

# shellcheck disable=SC1091
codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
target=()
if [ "$codename" = bookworm ]; then
  target=(-t bookworm-backports)
  if ! grep -rqsE '^[^#]*bookworm-backports' /etc/apt/sources.list /etc/apt/sources.list.d; then
    # The mirror that the system already uses, so that proxies and local mirrors keep working.
    mirror=$(apt-get indextargets --format '$(SITE)' 'Codename: bookworm' 2>/dev/null | head -n 1)
    [ -n "$mirror" ] || give_up 'found no Debian mirror among the package sources'
    echo "deb $mirror bookworm-backports main" |
      "${as_root[@]}" tee /etc/apt/sources.list.d/bookworm-backports.list >/dev/null ||
      give_up 'cannot add the backports source'
  fi
fi
"${apt[@]}" update || echo 'lavapipe: apt-get update failed; trying with the package lists that are there'
"${apt[@]}" install --no-install-recommends "${target[@]}" mesa-vulkan-drivers libvulkan1 || give_up 'apt-get install failed'
echo 'lavapipe: installed'
