#!/usr/bin/env bash
# Tests a real server against its own OpenAPI document: valid requests must be accepted, invalid ones refused, and every
# answer must be documented. Seeded; takes two to three minutes. Exclusions and their reasons are in schemathesis.toml.
#
#   scripts/schemathesis.sh [further arguments of `st run`]
#
# Needs `st` (schemathesis 4), and installs it with pip into target/schemathesis if it is missing. If that fails, it
# says so and exits with 3.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

command -v curl >/dev/null || { echo "curl is missing: THE API IS NOT TESTED AGAINST ITS DOCUMENT" >&2; exit 3; }
st=st
if ! command -v st >/dev/null; then
  st=target/schemathesis/bin/st
  if [ ! -x "$st" ]; then
    mkdir -p target
    if ! { python3 -m venv target/schemathesis && target/schemathesis/bin/pip install --quiet 'schemathesis>=4,<5'; } >&2; then
      rm -rf target/schemathesis
      echo "schemathesis is missing and could not be installed (python3 -m venv, pip): THE API IS NOT TESTED AGAINST ITS DOCUMENT" >&2
      exit 3
    fi
  fi
fi

# Built with an example, which includes the development dependencies: otherwise their features differ, and everything is
# built again. The same goes for features, in BACKSTITCH_FEATURES.
cargo build --locked ${BACKSTITCH_FEATURES:+--features "$BACKSTITCH_FEATURES"} --bin backstitch --example with_postgres
work=$(mktemp -d)
server=
finish() {
  [ -z "$server" ] || { kill "$server" 2>/dev/null && wait "$server" 2>/dev/null; } || true
  rm -rf "$work"
}
trap finish EXIT

"${CARGO_TARGET_DIR:-target}/debug/backstitch" dev --listen 127.0.0.1:0 --gateway-listen 127.0.0.1:0 --data-dir "$work/data" \
  >"$work/out" 2>"$work/log" &
server=$!
url=
for _ in $(seq 240); do
  url=$(sed -n 's/^ready: //p' "$work/out")
  [ -z "$url" ] || break
  kill -0 "$server" 2>/dev/null || break
  sleep 0.5
done
[ -n "$url" ] || { echo "the server did not start:" >&2; cat "$work/log" >&2; exit 1; }

# Once a key exists, every request needs one: that is tested too.
answer=$(curl -fsS -X POST "$url/v1/keys" -H 'content-type: application/json' -d '{"name":"schemathesis","role":"admin"}')
BACKSTITCH_API_KEY=$(sed -E 's/.*"token":"([^"]+)".*/\1/' <<<"$answer")
export BACKSTITCH_API_KEY

# An item that can be ordered: orders of unknown items test little.
curl -fsS -X PUT "$url/v1/items/apple" -H "authorization: Bearer $BACKSTITCH_API_KEY" -H 'content-type: application/json' \
  -d '{"name":"Apple","price":250,"currency":"EUR","on_hand":1000000}' >/dev/null

status=0
"$st" --config-file schemathesis.toml run "$url/openapi.json" "$@" || status=$?
kill -0 "$server" 2>/dev/null || { echo "the server died:" >&2; tail -n 50 "$work/log" >&2; exit 1; }
if grep -q 'a handler panicked' "$work/log"; then
  echo "a handler panicked:" >&2
  grep 'a handler panicked' "$work/log" >&2
  exit 1
fi
# With a revoked key every request would have been refused, and nothing tested.
curl -fsS "$url/v1/keys" -H "authorization: Bearer $BACKSTITCH_API_KEY" >/dev/null || { echo "the key was revoked during the test" >&2; exit 1; }
exit "$status"
