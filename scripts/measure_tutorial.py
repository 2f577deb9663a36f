"""Follows docs/tutorial.md to the letter in an empty folder and prints how long each of its commands takes.

    python scripts/measure_tutorial.py                          # this checkout, this Python: three minutes when idle
    python scripts/measure_tutorial.py --python VENV/bin/python # the fuxibench that is installed there
    python scripts/measure_tutorial.py --keep FOLDER            # the folder stays, with board and site

The page's scripts and commands are read from the page; nothing is left out or made smaller. Prepared data go to a new
cache in the folder, so that nothing is at hand from before.
"""

import argparse
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "tutorial.md"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", type=Path, help="of an environment that has fuxibench installed")
    parser.add_argument("--keep", type=Path, help="an empty folder to work in; default: one that is deleted afterwards")
    asked = parser.parse_args()
    print(f"{os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}")
    if asked.keep:
        follow(asked.keep.resolve(), asked.python)
    else:
        with tempfile.TemporaryDirectory() as folder:
            follow(Path(folder), asked.python)


def follow(folder: Path, python: Path | None) -> None:
    """Writes the page's scripts and runs its commands one after the other, with their output in ``commands.log``."""
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        sys.exit(f"the tutorial starts in an empty folder, but {folder} holds files")
    environment = {**os.environ, "FUXIBENCH_CACHE": str(folder / ".cache")}
    if python is None:
        paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment["PYTHONPATH"] = os.pathsep.join(paths)
    else:
        environment.pop("PYTHONPATH", None)  # what is installed shall run, not a checkout
    interpreter = str(python.absolute() if python else sys.executable)
    for name, text in scripts().items():
        (folder / name).write_text(text, encoding="utf-8")
    began = time.perf_counter()
    with (folder / "commands.log").open("w", encoding="utf-8") as log:
        for words in commands():
            program = [interpreter] if words[0] == "python" else [interpreter, "-m", "fuxi_plugins"]
            started = time.perf_counter()
            done = subprocess.run(
                [*program, *words[1:]], cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT, check=False
            )
            print(f"{time.perf_counter() - started:7.1f} s  {shlex.join(words)[:90]}", flush=True)
            if done.returncode:
                log.flush()
                sys.exit(f"ended with {done.returncode}:\n{(folder / 'commands.log').read_text()[-3000:]}")
    print(f"{(time.perf_counter() - began) / 60:.1f} minutes in all")


def scripts() -> dict[str, str]:
    """The page's Python files by the names in their first lines."""
    found = [(re.match(r"# (\w+\.py)", text), text) for text in blocks("python")]
    return {first[1]: text for first, text in found if first}


def commands() -> list[list[str]]:
    """The words of each command of the page."""
    lines = [line for text in blocks("bash") for line in text.splitlines()]
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)


if __name__ == "__main__":
    main()
