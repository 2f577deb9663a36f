"""The Dockerfile copies what there is, and all that the wheel is built from; there is no Docker here to build it."""

import json
import re
import shlex
import tomllib

from tests.conftest import ROOT
from tests.test_installed import SOURCES

INSTRUCTIONS = {"FROM", "WORKDIR", "COPY", "RUN", "ENTRYPOINT", "CMD"}
TEXT = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
LINES = [line.split(maxsplit=1) for line in TEXT.splitlines() if line and not line.startswith("#")]


def of(instruction):
    return [rest for name, rest in LINES if name == instruction]


def copied():
    return [source for rest in of("COPY") for source in shlex.split(rest)[:-1]]


def test_every_instruction_is_known_and_every_source_exists():
    assert {name for name, _ in LINES} == INSTRUCTIONS
    assert LINES[0][0] == "FROM"
    ignored = (ROOT / ".dockerignore").read_text().split()
    for source in copied():
        assert (ROOT / source).exists(), source
        assert source not in ignored


def test_all_that_the_wheel_is_built_from_is_copied_before_it_is_installed():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = {"pyproject.toml", "setup.py", "fuxi_plugins", project["readme"], *project["license-files"], *SOURCES}
    installs = [place for place, (name, rest) in enumerate(LINES) if name == "RUN" and rest.endswith("--no-deps .")]
    before = {s for name, rest in LINES[: installs[0]] if name == "COPY" for s in shlex.split(rest)[:-1]}
    assert needed <= before


def test_python_and_torch_are_those_of_the_release():
    requirements = (ROOT / "requirements.txt").read_text()
    assert of("FROM") == [f"python:{re.search(r'on Python ([0-9.]+[0-9])', requirements)[1]}-slim"]
    pattern = re.search(r"\$\(grep '(.*?)' requirements.txt\)", of("RUN")[0])[1]
    assert len(re.findall(pattern, requirements, re.MULTILINE)) == 1


def test_it_runs_the_quickstart():
    called = [*json.loads(of("ENTRYPOINT")[0]), *json.loads(of("CMD")[0])]
    assert shlex.join(called) in (ROOT / "scripts" / "quickstart.sh").read_text()
    assert f"fuxibench {shlex.join(called[1:])}" in (ROOT / "docs" / "install.md").read_text()
