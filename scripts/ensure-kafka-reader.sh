#!/usr/bin/env bash
# Makes sure that the tests can read topics by a client that is none of ours: PyPI's kafka-python, put into target/kafka-reader.
# Otherwise says why not and exits with 1.
set -euo pipefail
cd "$(dirname "$0")/.."

folder="${CARGO_TARGET_DIR:-target}/kafka-reader"
PYTHONPATH="$folder" python3 -c 'import kafka' 2>/dev/null && exit 0
command -v python3 >/dev/null || { echo "python3 is missing: reading topics by another client needs it" >&2; exit 1; }
python3 -m pip install --quiet --disable-pip-version-check --target "$folder" kafka-python==3.0.12 >&2 ||
  { echo "kafka-python could not be installed with pip" >&2; exit 1; }
PYTHONPATH="$folder" python3 -c 'import kafka'
