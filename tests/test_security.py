"""Lines of the threat model in ``docs/security.md`` that no other test shows, and the page itself."""

import ast
import os
import re

import pytest

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.yaml_files import load_yaml
from fuxi_plugins.datasets.spec import load_dataset_specs
from fuxi_plugins.execution.planner import Resources, plan_suite, run_plan
from fuxi_plugins.experiments.catalogue import load_experiment_configs
from fuxi_plugins.experiments.experiment import resolve
from fuxi_plugins.experiments.suite import find_suite
from fuxi_plugins.records.record import read_record, write_record
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
                assert "allow_pickle" not in ast.unparse(node), path
            assert called not in ("os.system", "os.popen", "subprocess.getoutput"), path
            assert "shell=True" not in ast.unparse(node), path
    assert seen >= 3


@pytest.mark.parametrize("page", ["security.md", "reliability.md"])
def test_every_test_that_a_page_names_exists(page):
    text = (ROOT / "docs" / page).read_text()
    named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", text)
    assert len(named) > 10
    for path, name in named:
        assert f"def {name}(" in (ROOT / path).read_text(), f"{path}::{name}"
    assert os.sep not in "".join(name for _, name in named)
