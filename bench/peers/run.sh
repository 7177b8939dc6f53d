#!/usr/bin/env bash
# run.sh dbos|restate: runs the order saga on this peer once; prints one line of JSON, everything else goes to stderr.
#
# DATABASE_URL is an empty database; BACKSTITCH the program that has the gateway simulator. `backstitch bench compare` sets
# both. Beside them: ORDERS, IN_FLIGHT, POOL, DBOS_POOL, GATEWAY_ADDR, RESTATE_SERVER; README.md says what they are.
set -euo pipefail
cd "$(dirname "$0")"
peer=${1:?which peer: dbos or restate}
bin=${CARGO_TARGET_DIR:-target}/release/$peer-orders
backstitch=${BACKSTITCH:-backstitch}
gateway=${GATEWAY_ADDR:-127.0.0.1:18181}
data=$(mktemp -d)

started=()
stop() {
  for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
  wait
  rm -rf "$data"
}
trap stop EXIT
trap 'exit 1' INT TERM

# until_well COMMAND...: tries for half a minute.
until_well() {
  for _ in $(seq 150); do "$@" >"$data/try" 2>&1 && return; sleep 0.2; done
  cat "$data/try" >&2
  return 1
}

[ -x "$bin" ] || { echo "$bin is not there: cargo build --release" >&2; exit 1; }
"$backstitch" gateway-sim --listen "$gateway" >"$data/gateway.log" 2>&1 &
started+=($!)
export GATEWAY_URL=http://$gateway
until_well curl -sf "$GATEWAY_URL/sim/ledger"

case $peer in
dbos)
  export IN_FLIGHT=${IN_FLIGHT:-64}
  "$bin" 2>"$data/notices.log" || { tail -n 5 "$data/notices.log" >&2; exit 1; }
  ;;
restate)
  export IN_FLIGHT=${IN_FLIGHT:-512} INGRESS_URL=http://127.0.0.1:8080 SERVICE_ADDR=127.0.0.1:9080
  server=${RESTATE_SERVER:-node_modules/@restatedev/restate-server-linux-x64/bin/restate-server}
  RESTATE_DISABLE_TELEMETRY=true RESTATE_BIND_IP=127.0.0.1 RESTATE_LOG_FILTER=warn \
    "$server" --base-dir "$data/restate" --node-name one --no-logo --listen-mode tcp >"$data/server.log" 2>&1 &
  started+=($!)
  "$bin" serve >"$data/notices.log" 2>&1 &
  started+=($!)
  until_well curl -sf http://127.0.0.1:9070/deployments -H 'content-type: application/json' \
    -d "{\"uri\":\"http://$SERVICE_ADDR\"}"
  "$bin" || { tail -n 5 "$data"/*.log >&2; exit 1; }
  ;;
*)
  echo "which peer: dbos or restate, not $peer" >&2
  exit 1
  ;;
esac
