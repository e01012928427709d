#!/usr/bin/env bash
# Programs that some tests need and pip does not bring: Debian's Chromium (browser), promtool (metrics and alerts),
# systemd-analyze (the unit), curl and ip (hosts in network namespaces). For root on Debian; elsewhere those tests say
# what is missing and are skipped.
set -euo pipefail
tools="$(cd "$(dirname "$0")/.." && pwd)/.venv/bin"
missing=()
command -v chromium >/dev/null || missing+=(chromium fonts-dejavu-core)
command -v systemd-analyze >/dev/null || missing+=(systemd)
command -v curl >/dev/null || missing+=(curl)
command -v ip >/dev/null || missing+=(iproute2)
needs_promtool=0
command -v promtool >/dev/null || [ -x "$tools/promtool" ] || needs_promtool=1
if [ ${#missing[@]} -eq 0 ] && [ $needs_promtool -eq 0 ]; then
  exit 0
fi
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
  echo "no way to install ${missing[*]:-promtool} here (apt-get as root): tests that need it are skipped" >&2
  exit 0
fi
export DEBIAN_FRONTEND=noninteractive
echo "installing ${missing[*]}$([ $needs_promtool -eq 1 ] && echo " promtool") for the tests ..."
apt-get update -qq
if [ ${#missing[@]} -gt 0 ]; then
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi
if [ $needs_promtool -eq 1 ]; then
  # The program alone: the package would start a server.
  scratch=$(mktemp -d)
  trap 'rm -rf "$scratch"' EXIT
  chmod 755 "$scratch"
  (cd "$scratch" && apt-get download -qq prometheus >/dev/null 2>&1 && dpkg -x prometheus_*.deb . && cp usr/bin/promtool "$tools/")
fi
