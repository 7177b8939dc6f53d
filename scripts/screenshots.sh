#!/usr/bin/env bash
# Makes docs/screenshots again, from the browser tests' pages: wide and light, one dark, one narrow. Needs what the
# tests need.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
scripts/ensure-postgres.sh
scripts/ensure-chromium.sh
taken=$(mktemp -d)
trap 'rm -rf "$taken"' EXIT
cargo build --locked --example with_postgres
BACKSTITCH_SCREENSHOTS="$taken" "${CARGO_TARGET_DIR:-target}/debug/examples/with_postgres" \
  cargo test --locked --test browser every_page_fits
mkdir -p docs/screenshots
for page in overview runs run-compensated run-stuck act attention operations operation fleet schedules orders order audit; do
  cp "$taken/$page-1280-light.png" "docs/screenshots/$page.png"
done
cp "$taken/run-compensated-1280-dark.png" docs/screenshots/run-dark.png
cp "$taken/attention-360-light.png" docs/screenshots/attention-narrow.png
