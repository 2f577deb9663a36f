"""docs/tutorial.md, followed from an empty folder: script, model and every command, with less data and fewer models."""

import re
import runpy

import pytest
from click.testing import CliRunner

from fuxi_plugins.cli.main import main
from fuxi_plugins.core.workspace import CACHE_VARIABLE
from fuxi_plugins.models.registry import INSTALLED_ONLY, NATIVE_MODELS, use_sources
from scripts import measure_tutorial
from scripts.measure_tutorial import commands, scripts
from tests.conftest import write

SMALLER = {"--seeds": "1", "--models": "Gated,DCNv2", "--batch-size": "128"}  # options of its commands


def smaller(words):
    """The command with fewer seeds and models, so that the test takes seconds."""
    return [SMALLER.get(before, word) for before, word in zip(["", *words], words, strict=False)]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    for name, text in scripts().items():
        write(tmp_path / name, text.replace("range(20_000)", "range(2_000)"))
    yield tmp_path
    use_sources(INSTALLED_ONLY)


def test_thirty_models_are_named_beside_the_readers_own():
    (named,) = (words[words.index("--models") + 1].split(",") for words in commands() if "--models" in words)
    assert len(set(named)) == 31
    assert set(named) - set(NATIVE_MODELS) == {"Gated"}


def test_every_command_does_what_the_page_says(folder):
    said = {}
    for words in commands():
        if words[0] == "python":
            runpy.run_path(words[1])
            continue
        done = CliRunner().invoke(main, smaller(words[1:]))
        assert done.exit_code == 0, (words, done.output)
        topic = words[3:] if words[1] == "--model-file" else words[1:]
        said[" ".join(topic[:2])] = done.output
        if topic[0] == "new":
            experiments = folder / "benchmark_configs" / "model_config" / "my_clicks_common.yaml"
            text = experiments.read_text()
            experiments.write_text(re.sub(r"epochs: \d+", "epochs: 1", text))
    assert "Rows of the same user_id are taken to belong together" in said["data describe"]
    for model in ("Gated", "DCNv2"):
        assert model in said["run my_clicks_common"]
        assert model in said["compare Gated"]
        assert model in said["table --boards"]
    assert r"\begin{tabular}" in said["table --boards"]
    assert "Clicks of my shop" in (folder / "site" / "index.html").read_text()


def test_the_script_that_times_the_page_leaves_nothing_out(tmp_path, capsys):
    """Its commands are those above; here each is replaced by a program that notes what it was called with."""
    called = tmp_path / "called.txt"
    program = write(tmp_path / "python", f'#!/bin/sh\necho "$@" >> {called}\n')
    program.chmod(0o755)
    measure_tutorial.follow(tmp_path / "empty", program)
    noted = called.read_text().splitlines()
    assert len(noted) == len(commands())
    assert noted[0] == "make_clicks.py"
    assert noted[-1].startswith("-m fuxi_plugins report site --boards my_clicks_common")
    assert {path.name for path in (tmp_path / "empty").glob("*.py")} == {"make_clicks.py", "my_models.py"}
    assert "minutes in all" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="holds files"):
        measure_tutorial.follow(tmp_path / "empty", program)
    write(program, "#!/bin/sh\necho no such model\nexit 3\n")
    program.chmod(0o755)
    with pytest.raises(SystemExit, match="ended with 3:\nno such model"):
        measure_tutorial.follow(tmp_path / "other", program)
