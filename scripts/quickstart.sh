#!/usr/bin/env bash
# The main job on the embedded synthetic dataset: prepare, train every model of the suite, print the board.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/setup.sh
.venv/bin/fuxibench run quickstart "$@"
