#!/usr/bin/env bash
# Chromium for the browser tests, where it can be had: Debian's own, for root. Elsewhere the tests say what is missing.
set -euo pipefail
if command -v chromium >/dev/null; then
  exit 0
fi
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
  echo "no chromium, and no way to install it here (apt-get as root): the browser tests are skipped" >&2
  exit 0
fi
export DEBIAN_FRONTEND=noninteractive
echo "installing chromium for the browser tests ..."
apt-get update -qq
apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null
