#!/usr/bin/env bash
# Makes sure that Chromium and its driver are installed, for tests/browser. Installs the distribution's packages if they
# are missing and we have the rights; otherwise says what to install.
set -euo pipefail

has_browser() {
  { command -v "${CHROMEDRIVER:-chromedriver}" || [ -x /usr/lib/chromium/chromedriver ]; } >/dev/null 2>&1 || return 1
  command -v chromium || command -v chromium-browser || command -v google-chrome || command -v chrome
} >/dev/null

give_up() {
  cat >&2 <<'TEXT'
The browser tests need Chromium and chromedriver of the same version. Install them:
  Debian:  sudo apt-get install chromium chromium-driver
  Fedora:  sudo dnf install chromium chromedriver
  macOS:   brew install --cask google-chrome chromedriver
or name the driver in CHROMEDRIVER.
TEXT
  exit 1
}

has_browser && exit 0
command -v apt-get >/dev/null || give_up
if [ "$(id -u)" = 0 ]; then
  as_root=(env)
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
  as_root=(sudo -n env)
else
  give_up
fi

echo "installing Chromium with apt-get ..." >&2
"${as_root[@]}" apt-get update </dev/null >&2 || echo "apt-get update failed: trying with the lists that are there" >&2
"${as_root[@]}" DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends chromium chromium-driver </dev/null >&2 || give_up
has_browser || give_up
