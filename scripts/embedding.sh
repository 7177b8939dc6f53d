#!/usr/bin/env bash
# Builds and tries tests/embedding: a service of its own that has nothing of Backstitch but the library with `server`.
# Needs a Postgres server in DATABASE_URL, and the command line's binary built.
set -euo pipefail
cd "$(dirname "$0")/.."

manifest=tests/embedding/Cargo.toml
crates=$(cargo tree --locked --manifest-path "$manifest" -e normal --prefix none | awk '{print $1}' | sort -u)
if grep -xE 'clap|indicatif|comfy-table|nix' <<<"$crates"; then
  echo "a service that embeds the engine should not get these" >&2
  exit 1
fi
target=$(realpath "${CARGO_TARGET_DIR:-target}")
export BACKSTITCH_BIN=$target/debug/backstitch
cargo fmt --check --manifest-path "$manifest"
cargo test --locked --manifest-path "$manifest" --target-dir "$target"
