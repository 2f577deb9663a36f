#!/usr/bin/env bash
# All tests but the slow ones; --slow adds those, and --fast runs the quick ones alone. --coverage before either prints
# the share of lines that the tests run. Further arguments go to pytest.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/setup.sh
coverage=
if [ "${1:-}" = --coverage ]; then
    shift
    coverage=fuxi_plugins
fi
.venv/bin/ruff check .
if [ "${1:-}" = --fast ]; then # what needs no training, no processes and no data
    shift
    quick=(core layers records analysis submissions)
    set -- "${quick[@]/#/tests/}" tests/test_architecture.py "$@"
    coverage=${coverage:+"${quick[*]/#/fuxi_plugins/}"}
else
    .venv/bin/mypy fuxi_plugins
fi
measured=()
for folder in $coverage; do measured+=("--cov=$folder"); done
.venv/bin/python -m pytest -n "${PYTEST_WORKERS:-2}" --durations=10 ${coverage:+--cov-report=} "${measured[@]}" "$@"
if [ -n "$coverage" ]; then
    echo "The tests run $(.venv/bin/coverage report --format=total)% of the lines of: $coverage"
fi
