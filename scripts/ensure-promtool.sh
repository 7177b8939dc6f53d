#!/usr/bin/env bash
# Makes sure that promtool is installed, which checks and tests the alerts. Installs the distribution's package if it is
# missing and we have the rights; otherwise says so and exits with 1. Starts no server.
set -euo pipefail

command -v promtool >/dev/null && exit 0
command -v apt-get >/dev/null || { echo "promtool is missing: it comes with Prometheus" >&2; exit 1; }
if [ "$(id -u)" = 0 ]; then
  as_root=(env)
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
  as_root=(sudo -n env)
else
  echo "promtool is missing: sudo apt-get install prometheus" >&2
  exit 1
fi

echo "installing promtool with apt-get ..." >&2
"${as_root[@]}" apt-get update </dev/null >&2 || echo "apt-get update failed: trying with the lists that are there" >&2
# The package would start Prometheus. We only need its tools, so services are not started during the installation,
# unless the machine has a policy for that already.
policy=/usr/sbin/policy-rc.d
if ! [ -e "$policy" ]; then
  trap '"${as_root[@]}" rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
  "${as_root[@]}" chmod +x "$policy"
fi
"${as_root[@]}" DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends prometheus </dev/null >&2
command -v promtool >/dev/null
