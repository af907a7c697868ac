#!/usr/bin/env bash
# Debian packages that some tests need: a real RTSP server and a real MQTT broker, on loopback, a
# real browser, and a compiler for the GPU's kernels; with --long also, for `make check-long`, hosts
# of a network, an emulator of older CPUs and a screen without a screen. Tests skip without them.
set -euo pipefail
packages=(
  chromium
  g++
  gir1.2-gst-rtsp-server-1.0
  gstreamer1.0-plugins-base
  gstreamer1.0-plugins-good
  gstreamer1.0-plugins-ugly
  mosquitto
  mosquitto-clients
  poppler-utils
  python3-gi
)
if [ "${1:-}" = --long ]; then
  packages+=(iproute2 libgl1 qemu-user xvfb)
fi
missing=()
for package in "${packages[@]}"; do
  dpkg-query --show --showformat='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
    missing+=("$package")
done
if [ "${#missing[@]}" -eq 0 ]; then
  exit 0
fi
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
