#!/usr/bin/env bash
# Makes sure that the binaries of a Postgres server (13 or newer) are installed. Installs the distribution's package if
# it is missing and we have the rights; otherwise says what to install. Starts no server: Backstitch starts its own.
set -euo pipefail

has_server() {
  [ -z "${DATABASE_URL:-}" ] || return 0
  [ -z "${BACKSTITCH_PG_BIN:-}" ] || return 0
  local bin version
  for bin in "$(pg_config --bindir 2>/dev/null || true)" /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /usr/local/pgsql/bin \
    /opt/homebrew/opt/postgresql*/bin /usr/local/opt/postgresql*/bin /home/linuxbrew/.linuxbrew/opt/postgresql*/bin \
    /Applications/Postgres.app/Contents/Versions/*/bin "$(dirname "$(command -v postgres || echo /nowhere/x)")"; do
    [ -x "$bin/postgres" ] && [ -x "$bin/initdb" ] || continue
    version=$("$bin/postgres" --version | sed -E 's/^.*\(PostgreSQL\) ([0-9]+).*$/\1/')
    [ "$version" -ge 13 ] 2>/dev/null && return 0
  done
  return 1
}

give_up() {
  cat >&2 <<'TEXT'
Backstitch needs a Postgres server's binaries, 13 or newer (no running server). Install them:
  Debian, Ubuntu:  sudo apt-get install postgresql
  Fedora:          sudo dnf install postgresql-server
  macOS:           brew install postgresql@17
or name their directory in BACKSTITCH_PG_BIN, or give a running server in DATABASE_URL.
TEXT
  exit 1
}

has_server && exit 0
command -v apt-get >/dev/null || give_up
if [ "$(id -u)" = 0 ]; then
  as_root=(env)
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
  as_root=(sudo -n env)
else
  give_up
fi

echo "installing Postgres with apt-get ..." >&2
install() {
  "${as_root[@]}" DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" </dev/null >&2
}
"${as_root[@]}" apt-get update </dev/null >&2 || echo "apt-get update failed: trying with the lists that are there" >&2

# The server's package would create a cluster `main` and start it. We only need its binaries, so that is disabled during
# the installation, and restored afterwards.
install postgresql-common || give_up
conf=/etc/postgresql-common/createcluster.conf
saved=$(mktemp)
cp "$conf" "$saved"
restore() { "${as_root[@]}" cp "$saved" "$conf"; rm -f "$saved"; }
trap restore EXIT
"${as_root[@]}" sed -i -E 's/^#?[[:space:]]*create_main_cluster[[:space:]]*=.*$/create_main_cluster = false/' "$conf"
install postgresql || give_up
has_server || give_up
