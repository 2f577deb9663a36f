#!/usr/bin/env bash
# All tests but the slow ones; --slow adds those. Further arguments go to pytest.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/setup.sh
.venv/bin/ruff check .
.venv/bin/mypy fuxi_plugins
.venv/bin/python -m pytest -n "${PYTEST_WORKERS:-2}" "$@"
