# Sourced by the other scripts: makes .venv from requirements.txt if it is missing, stale or half-made.
# PYTHON chooses the interpreter (3.11 or later).

setup_venv() {
    local python wanted
    wanted="$(cat requirements.txt pyproject.toml | cksum)"
    if [ "$(cat .venv/.installed 2>/dev/null)" = "$wanted" ]; then
        return
    fi
    python="${PYTHON:-$(command -v python3.11 || command -v python3 || true)}"
    if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        echo "Python 3.11 or later is needed, but '${python:-python3}' is not; name one with PYTHON=..." >&2
        return 1
    fi
    echo "Installing into .venv (once; some minutes)"
    "$python" -m venv .venv
    .venv/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
    echo "$wanted" > .venv/.installed
}

setup_venv
