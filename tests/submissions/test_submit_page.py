"""docs/submit.md, followed to the letter by a sender and a receiver, on fewer rows of the synthetic data."""

import os
import re
import shlex
import shutil
import subprocess
import sys

import pytest

from fuxi_plugins.core.workspace import CACHE_VARIABLE
from tests.conftest import ROOT, write

PAGE = (ROOT / "docs" / "submit.md").read_text(encoding="utf-8")
TEMPLATE = (ROOT / ".github" / "ISSUE_TEMPLATE" / "submission.md").read_text(encoding="utf-8")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Makes an empty folder whose synthetic data have few rows, and the model of docs/add_a_model.md."""
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    shipped = (ROOT / "benchmark_configs" / "dataset_config" / "synthetic.yaml").read_text()

    def make(name):
        few = shipped.replace("[100000, 20000, 20000]", "[3000, 1000, 1000]")
        assert few != shipped
        write(tmp_path / name / "benchmark_configs" / "dataset_config" / "synthetic.yaml", few)
        return tmp_path / name

    return make


def call(command, folder):
    words = shlex.split(command)
    assert words[0] == "fuxibench"
    done = subprocess.run(
        [sys.executable, "-m", "fuxi_plugins", *words[1:]], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow  # seven processes of seconds
def test_the_page_works_as_written(folder):
    sending, adding, _ = (text.strip().splitlines() for text in re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL))
    model = (ROOT / "docs" / "add_a_model.md").read_text(encoding="utf-8")
    sender, receiver = folder("sender"), folder("receiver")
    (sender / "my_models.py").write_text(re.findall(r"```python\n(.*?)```", model, re.DOTALL)[0])
    said = [call(command, sender) for command in sending]
    assert "not equal: " not in said[0]  # all rows of this board share their settings, and the model has them all
    assert "4 of them train 2 rows of the board" in said[0]
    assert "TwoLayers" in said[0].split("┡")[1]
    assert said[2].count("verified: TwoLayers_synthetic_as_quickstart") == 2

    experiment = "TwoLayers_synthetic_as_quickstart"
    shutil.copy(sender / f"{experiment}.zip", receiver)
    for row in ("LR_synthetic", "FM_synthetic"):  # the receiver has the board's own rows
        place = receiver / "results" / "runs" / "synthetic" / row
        shutil.copytree(sender / "results" / "runs" / "synthetic" / row, place)
    added, board = (call(command, receiver) for command in adding)
    assert "added to quickstart as verified: TwoLayers" in added
    assert "TwoLayers (sent by Ann Lee)" in board


def test_the_checklist_of_the_template_is_the_pages():
    (listed,) = re.findall(r"<!-- checklist -->\n(.*?)<!-- end -->", PAGE, re.DOTALL)
    assert re.findall(r"^- \[ \] (.*)$", TEMPLATE, re.MULTILINE) == re.findall(r"^- (.*)$", listed, re.MULTILINE)
