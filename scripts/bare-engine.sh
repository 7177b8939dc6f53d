#!/usr/bin/env bash
# Holds that the library without features is the engine alone: it builds, and with few crates.
set -euo pipefail
cd "$(dirname "$0")/.."

most=150
count=$(cargo tree --locked --no-default-features -e normal --prefix none | awk '{print $1}' | sort -u | wc -l)
echo "crates of the bare engine: $count (at most $most)"
[ "$count" -le "$most" ] || { echo "too many: what needs the new ones belongs into a feature" >&2; exit 1; }
# That it builds with `server` alone, a service that embeds it shows: scripts/embedding.sh.
cargo check --locked --lib --no-default-features
