#!/usr/bin/env bash
# Makes sure that the tests have a real mail server: Python's aiosmtpd, put into target/mail-server. Otherwise says why not and
# exits with 1. Starts no server.
set -euo pipefail
cd "$(dirname "$0")/.."

folder="${CARGO_TARGET_DIR:-target}/mail-server"
PYTHONPATH="$folder" python3 -c 'import aiosmtpd' 2>/dev/null && exit 0
command -v python3 >/dev/null || { echo "python3 is missing: the tests' mail server needs it" >&2; exit 1; }
python3 -m pip install --quiet --disable-pip-version-check --target "$folder" aiosmtpd==1.4.6 >&2 ||
  { echo "aiosmtpd could not be installed with pip" >&2; exit 1; }
PYTHONPATH="$folder" python3 -c 'import aiosmtpd'
