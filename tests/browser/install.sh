#!/usr/bin/env bash
# Puts a Chromium and Chinese letters on a machine that has none: where we are root and have apt.
set -euo pipefail
for name in chromium chromium-browser google-chrome google-chrome-stable; do
    if command -v "$name" >/dev/null; then exit 0; fi
done
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "There is no Chromium on PATH, and it cannot be installed without root and apt:" >&2
    echo "the browser tests will be skipped here. In CI that is a failure." >&2
    exit 0
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends chromium fonts-noto-cjk >/dev/null
