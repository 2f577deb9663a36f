"""Lines of the threat model in ``docs/security.md`` that no other test shows, and the page itself."""

import ast
import csv
import io
import os
import re

import pytest

from fuxi_plugins.analysis.leaderboard import Cell
from fuxi_plugins.analysis.ranking import build_leaderboard
from fuxi_plugins.analysis.uncertainty import with_uncertainty
from fuxi_plugins.cli.console import say
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.yaml_files import load_yaml
from fuxi_plugins.datasets.catalogue import load_dataset_specs
from fuxi_plugins.execution.planner import plan_suite, run_plan
from fuxi_plugins.execution.progress import outcome
from fuxi_plugins.execution.resources import Resources
from fuxi_plugins.experiments.catalogue import load_experiment_configs
from fuxi_plugins.experiments.experiment import resolve
from fuxi_plugins.experiments.suite import find_suite
from fuxi_plugins.models.registry import Sources, model_summary, sources, use_sources
from fuxi_plugins.records.files import read_record, write_record
from fuxi_plugins.reporting.formats import FORMATS, render
from fuxi_plugins.reporting.site.addresses import run_page
from fuxi_plugins.reporting.site.build import write_site
from fuxi_plugins.reporting.site.contents import Contents, NamedBoard
from fuxi_plugins.reporting.terminal import print_board
from tests.analysis.make import record
from tests.conftest import ROOT, write

PACKAGE = ROOT / "fuxi_plugins"


@pytest.mark.parametrize(
    "value",
    [
        "!!python/object/apply:os.system ['touch FILE']",
        "!!python/object/new:os.system ['touch FILE']",
        "!!python/name:os.system",
        "!!python/module:os",
    ],
)
def test_a_config_cannot_construct_objects(tmp_path, value):
    path = write(tmp_path / "config.yaml", f"key: {value.replace('FILE', str(tmp_path / 'executed'))}\n")
    with pytest.raises(UserError, match="could not determine a constructor"):
        load_yaml(path)
    assert not (tmp_path / "executed").exists()


CODE = "__import__('os').system('touch FILE')"


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("dataset", "layers.MaskedAveragePooling()", CODE),
        ("dataset", "copy_from(user)", CODE),
        ("dataset", "StandardScaler", CODE),
        ("model", "metrics: [AUC, logloss, gAUC]", f'metrics: ["{CODE}"]'),
        ("model", "learning_rate: 1e-2", f'optimizer: "{CODE}"'),
        ("model", "learning_rate: 1e-2", f'loss: "{CODE}"'),
        ("model", "learning_rate: 1e-2", f'embedding_regularizer: "{CODE}"'),
        ("model", "learning_rate: 1e-2", f'monitor: "{CODE}"'),
    ],
)
def test_no_string_of_a_config_reaches_an_eval(workspace, tmp_path, file, old, new):
    path = workspace.configs / f"{file}_config" / "tiny.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new.replace("FILE", str(tmp_path / "executed"))))
    with pytest.raises(UserError):
        load_dataset_specs(workspace.configs)
        for config in load_experiment_configs(workspace.configs).values():
            resolve(config)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x"])
def test_a_data_file_lies_in_its_folder(workspace, name):
    path = workspace.configs / "dataset_config" / "tiny.yaml"
    path.write_text(path.read_text().replace("train_data: train.csv", f"train_data: {name}"))
    with pytest.raises(UserError, match="inside"):
        load_dataset_specs(workspace.configs)


@pytest.mark.parametrize(
    "address", ["javascript:alert(1)", "data:text/html,x", "https://a.org) [x](javascript:x", "a.org"]
)
def test_a_homepage_is_an_address(workspace, address):
    path = workspace.configs / "dataset_config" / "tiny.yaml"
    source = f'    source: {{homepage: "{address}", licence: none}}\n'
    path.write_text(path.read_text() + source)
    with pytest.raises(UserError, match="homepage: an address must begin with https://"):
        load_dataset_specs(workspace.configs)


@pytest.mark.parametrize("name", ["../../elsewhere", "/etc", ".hidden", "", "a\\b", "a\0b"])
@pytest.mark.parametrize("field", ["dataset", "experiment"])
def test_a_record_cannot_name_a_folder_elsewhere(tmp_path, field, name):
    path = write_record(tmp_path, record())
    path.write_text(record().model_copy(update={field: name}).model_dump_json())
    with pytest.raises(UserError, match="cannot be a folder's name"):
        read_record(path)


def test_no_environment_variable_is_written_anywhere(workspace, monkeypatch):
    secret = "hf_a-token-that-nobody-should-see"
    monkeypatch.setenv("HF_TOKEN", secret)
    suite = find_suite("LR_tiny", workspace)
    resources = Resources(slots=[-1], threads=1)
    (done,) = run_plan(plan_suite(suite, workspace, resources), suite, workspace, resources)
    assert done.finished
    files = [path for folder in (workspace.results, workspace.cache) for path in folder.rglob("*") if path.is_file()]
    assert {"record.json", "run.log", "metrics.jsonl"} <= {path.name for path in files}
    assert not [path for path in files if secret.encode() in path.read_bytes()]


def test_every_torch_load_takes_weights_only_and_every_yaml_load_the_strict_loader():
    seen = 0
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            called = ast.unparse(node.func)
            if called == "torch.load":
                seen += 1
                assert {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}["weights_only"] == "True"
            elif called in ("yaml.load", "yaml.load_all"):
                seen += 1
                assert "StrictLoader" in ast.unparse(node), path
            elif called == "np.load":
                assert "allow_pickle" not in ast.unparse(node).replace("allow_pickle=False", ""), path
            assert called not in ("os.system", "os.popen", "subprocess.getoutput"), path
            assert "shell=True" not in ast.unparse(node), path
    assert seen >= 3


HOSTILE = "\x1b[2J\u202eevil\u200b [x](javascript:alert(1)) |a| \\input{x} <img src=x>"
HOME = "/home/ann/my secret/net.py"


@pytest.fixture
def hostile(tmp_path):
    """A board of two records: one is named by a formula, the other failed with a path and a terminal's codes."""
    records = [
        record("=cmd|'/c calc'!A1", experiment="A_toy"),
        record(
            HOSTILE,
            experiment="B_toy",
            failed=f"OSError: {HOSTILE} '{HOME}'",
            traceback=f'File "{HOME}", line 1 {HOSTILE}',
        ),
    ]
    cells = [Cell("toy", "A_toy", records[0].display_name, 1), Cell("toy", "B_toy", HOSTILE, 1)]
    board = with_uncertainty(build_leaderboard("toy", records, cells, tmp_path), None)
    return records, board


UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u200b-\u200f\u202a-\u202e\u2066-\u2069]")


@pytest.mark.parametrize("form", FORMATS)
def test_no_format_of_a_board_passes_on_what_a_record_smuggles(hostile, form):
    text = render(hostile[1], f"Title {HOSTILE}", form)
    assert not UNSEEN.search(text)
    assert "/home/ann" not in text
    assert "my secret" not in text
    if form == "csv":
        rows = list(csv.DictReader(io.StringIO(text)))
        assert rows[0]["display_name"] == "'=cmd|'/c calc'!A1"
        assert float(rows[0]["test_AUC_mean"]) == 0.7
    if form == "md":
        assert "](" not in text.replace("\\](", "")
    if form == "tex":
        assert "\\input" not in text.replace("% ", "%").partition("\\begin")[2]


def test_no_page_of_the_site_passes_on_what_a_record_smuggles(hostile, tmp_path):
    records, board = hostile
    write_site(tmp_path / "site", Contents([NamedBoard("toy", "toy", f"Title {HOSTILE}", board)], records, []))
    for path in (tmp_path / "site").rglob("*.*"):
        text = path.read_text()
        assert "/home/ann" not in text, path
        assert "my secret" not in text, path
        if path.suffix != ".json":  # where they are escapes of JSON
            assert not UNSEEN.search(text), path
    assert ".../net.py" in (tmp_path / "site" / run_page(records[1])).read_text()


def test_a_terminal_is_not_moved_by_what_a_record_says(hostile, capsys):
    print_board(hostile[1], f"Title {HOSTILE}")
    print(outcome(hostile[0][1]))
    say(HOSTILE)
    assert not UNSEEN.search(capsys.readouterr().out)


def test_a_model_file_is_named_without_its_folders(tmp_path):
    path = write(
        tmp_path / "home" / "net.py", "from fuxictr.pytorch.models import BaseModel\nclass Net(BaseModel):\n    pass\n"
    )
    former = sources()
    use_sources(Sources(files=(str(path),)))
    try:
        assert model_summary("Net") == "from net.py"
    finally:
        use_sources(former)


def test_every_text_that_leaves_goes_through_its_cleaning():
    """Commands print by ``say``, csv files are written in one place, pages clean every value."""
    for path in sorted(PACKAGE.rglob("*.py")):
        text = path.read_text()
        shows = path.relative_to(PACKAGE).parts[0] in ("cli", "reporting", "tuning", "submissions", "execution")
        if shows and path.name not in ("console.py", "progress.py"):
            assert "click.echo(" not in text, path
            assert not re.search(r"^\s*print\(", text, re.M), path
        assert "csv.writer(" not in text or path.name == "cleaning.py", path
        assert "csv.DictWriter(" not in text, path
        assert text.count("jinja2.Environment(") == text.count("finalize=html"), path


@pytest.mark.parametrize("page", ["security.md", "reliability.md"])
def test_every_test_that_a_page_names_exists(page):
    text = (ROOT / "docs" / page).read_text()
    named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", text)
    assert len(named) > 10
    for path, name in named:
        assert f"def {name}(" in (ROOT / path).read_text(), f"{path}::{name}"
    assert os.sep not in "".join(name for _, name in named)
