#!/usr/bin/env bash
# All tests but the slow ones; --slow adds those, and --fast runs the quick ones alone. Further arguments go to pytest.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/setup.sh
.venv/bin/ruff check .
if [ "${1:-}" = --fast ]; then # what needs no training, no processes and no data
    shift
    set -- tests/core tests/layers tests/records tests/analysis tests/submissions tests/test_architecture.py "$@"
else
    .venv/bin/mypy fuxi_plugins
fi
.venv/bin/python -m pytest -n "${PYTEST_WORKERS:-2}" --durations=10 "$@"
