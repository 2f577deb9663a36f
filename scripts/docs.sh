#!/usr/bin/env bash
# Builds the documentation's web site into build/docs, from docs/ and the docstrings; --serve shows it while you write.
# It has an environment of its own, .venv-docs, with the packages of the extra "docs" alone.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
python="${PYTHON:-$(command -v python3.11 || command -v python3)}"
wanted="$("$python" -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["docs"], sep="\n")')"
if [ "$(cat .venv-docs/.installed 2>/dev/null)" != "$wanted" ]; then
    "$python" -m venv .venv-docs
    echo "$wanted" | .venv-docs/bin/python -m pip install --quiet --disable-pip-version-check -r /dev/stdin
    echo "$wanted" > .venv-docs/.installed
fi
if [ "${1:-}" = --serve ]; then
    exec .venv-docs/bin/mkdocs serve
fi
NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --quiet
echo "build/docs/index.html"
