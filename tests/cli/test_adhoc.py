"""Runs without a file: a model with settings, an own model beside a board, and what later commands know of them."""

import json
import zipfile

import pytest
from click.testing import CliRunner

from fuxi_plugins.cli.main import main
from fuxi_plugins.cli.parameters import Integers
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.experiments import adhoc
from fuxi_plugins.experiments.adhoc import MOST_CHARACTERS, adhoc_experiment, beside, parse_settings
from fuxi_plugins.experiments.catalogue import load_recorded_experiment
from fuxi_plugins.experiments.experiment import resolve
from fuxi_plugins.experiments.suite import find_suite
from fuxi_plugins.models.model_files import MEMORY, all_model_files, remember
from fuxi_plugins.models.registry import INSTALLED_ONLY, Sources, use_sources
from fuxi_plugins.records.files import read_record
from tests.conftest import write

MODEL = '''\
    from fuxictr.pytorch.layers import FeatureEmbedding
    from fuxictr.pytorch.models import BaseModel
    from .parts import head


    class Mine(BaseModel):
        """Mine is a linear map of the embeddings."""

        def __init__(self, feature_map, model_id="Mine", gpu=-1, learning_rate=1e-3, embedding_dim=4, **kwargs):
            super().__init__(feature_map, model_id=model_id, gpu=gpu, **kwargs)
            self.embedding_layer = FeatureEmbedding(feature_map, embedding_dim)
            self.out = head(feature_map.sum_emb_out_dim())
            self.compile(kwargs["optimizer"], kwargs["loss"], learning_rate)
            self.reset_parameters()
            self.model_to_device()

        def forward(self, inputs):
            embeddings = self.embedding_layer(self.get_inputs(inputs), flatten_emb=True)
            return {"y_pred": self.output_activation(self.out(embeddings))}
'''
PARTS = "from torch import nn\n\n\ndef head(width):\n    return nn.Linear(width, 1)\n"


@pytest.fixture(autouse=True)
def _forget_models():
    yield
    use_sources(INSTALLED_ONLY)


@pytest.fixture
def model_file(tmp_path):
    write(tmp_path / "mine" / "parts.py", PARTS)
    write(tmp_path / "mine" / "unrelated.py", "secret = 1\n")
    return write(tmp_path / "mine" / "my_model.py", MODEL)


def call(workspace, *arguments, code=0):
    folders = ["--configs", str(workspace.configs), "--results", str(workspace.results)]
    result = CliRunner().invoke(main, [*folders, *arguments])
    assert result.exit_code == code, result.output
    return result.output


def test_ranges_of_seeds():
    convert = Integers(0).convert
    assert convert("1-3", None, None) == [1, 2, 3]
    assert convert("0,5-6", None, None) == [0, 5, 6]
    assert Integers(-1).convert("-1", None, None) == [-1]
    for wrong in ("3-1", "1-", "a-b", "1-2-3", "1-999999999", "1-2,2"):
        with pytest.raises(Exception, match="whole numbers|stands twice"):
            convert(wrong, None, None)


def test_settings_are_read_as_yaml():
    assert parse_settings(["a=3e-4", "b=[1, 2]", "c=null", "d=l1(1e-5)"]) == {
        "a": 0.0003, "b": [1, 2], "c": None, "d": "l1(1e-5)"
    }  # fmt: skip
    for wrong, message in ((["a"], "name=value"), (["=1"], "name=value"), (["a=1", "a=2"], "twice"), (["a=["], "YAML")):
        with pytest.raises(UserError, match=message):
            parse_settings(wrong)


def test_the_id_names_model_dataset_and_settings(workspace):
    config = adhoc_experiment("DNN", "tiny", {"learning_rate": 3e-4, "hidden_units": [8]}, workspace)
    assert config.id == "DNN_tiny_learning_rate=0.0003,hidden_units=_8_"
    assert resolve(config).params["model"]["hidden_units"] == [8]
    assert resolve(config).params["training"]["metrics"] == ["AUC", "logloss", "gAUC"]  # the dataset has groups
    assert adhoc_experiment("DNN", "tiny", {}, workspace).id == "DNN_tiny_defaults"
    long = {f"setting_{number}": number for number in range(MOST_CHARACTERS)}
    ids = {adhoc_experiment("DNN", "tiny", {**long, "last": last}, workspace).id for last in (1, 2)}
    assert len(ids) == 2
    assert max(map(len, ids)) < MOST_CHARACTERS


def test_a_variant_of_a_model_and_an_id_that_is_taken(workspace):
    config = adhoc_experiment("CIN", "tiny", {}, workspace)
    assert (config.model, config.display_name, config.settings["dnn_hidden_units"]) == ("xDeepFM", "CIN", [])
    assert config.origins["dnn_hidden_units"] == "the variant CIN"
    text = "DNN_tiny_defaults: {model: DNN, dataset_id: tiny}\n"
    write(workspace.configs / "model_config" / "taken.yaml", text)
    with pytest.raises(UserError, match="already; run that by its id"):
        adhoc_experiment("DNN", "tiny", {}, workspace)


def test_beside_takes_the_settings_of_most_rows_and_says_what_is_unequal(workspace, model_file):
    models = workspace.configs / "model_config" / "tiny.yaml"
    models.write_text(
        models.read_text()
        + "DeepFM_tiny: {model: DeepFM, epochs: 3, embedding_regularizer: 0.1, hparam_source: tuned}\n"
    )
    suite = "title: Three\nexperiments: [LR_tiny, DNN_tiny, DeepFM_tiny]\nseeds: [1, 2]\n"
    write(workspace.configs / "suites" / "tiny_suite.yaml", suite)
    use_sources(Sources(files=(str(model_file),)))
    found = beside("tiny_suite", "Mine", {"batch_size": 50}, (), workspace)
    (config,) = found.own.experiments
    training = resolve(config).params["training"]
    assert (training["epochs"], training["batch_size"], found.own.seeds) == (2, 50, [1, 2])
    assert resolve(config).params["model"]["learning_rate"] == 1e-2
    assert found.remarks == [
        "epochs is 2 for Mine; on tiny_suite it is 2 in 2 rows, 3 in 1 row",
        "batch_size is 50 for Mine; on tiny_suite it is 100 in 3 rows",
        "embedding_dim is 4 for Mine; on tiny_suite it is 4 in 1 row, 10 in 1 row",
        "Mine has no setting embedding_regularizer; on tiny_suite it is None in 1 row, 0.1 in 1 row",
        "1 of the 3 rows of tiny_suite have tuned hyper-parameters; those of Mine are the defaults of its class and "
        "what you set",
    ]
    assert [row.id for row in found.to_run.experiments] == [config.id, "LR_tiny", "DNN_tiny", "DeepFM_tiny"]
    assert [row.id for row in found.to_show.experiments] == ["LR_tiny", "DNN_tiny", "DeepFM_tiny", config.id]
    assert config.origins["epochs"] == "as on tiny_suite"


def test_rows_that_have_no_run_are_trained_too_and_further_finished_seeds_are_shown(workspace, model_file):
    call(workspace, "run", "LR_tiny", "--seeds", "1,2")
    arguments = ["run", "--model-file", str(model_file), "--beside", "tiny_suite", "--seeds", "1", "--set", "epochs=1"]
    said = call(workspace, *arguments)
    assert "1 runs finished, 2 to run" in said  # LR with seed 1 is finished; the model and DNN are not
    assert "1 of them train 1 rows of the board" in said
    name = "Mine_tiny_as_tiny_suite,epochs=1"
    assert f"again:    fuxibench leaderboard tiny_suite --with {name}" in said
    assert "Mine (epochs=1)" in call(workspace, *said.split("LaTeX:    fuxibench ")[1].splitlines()[0].split())
    assert said.index("start Mine_tiny") < said.index("start DNN_tiny")
    found = beside("tiny_suite", "Mine", {"epochs": 1}, [1], workspace)
    assert {row.id: found.to_show.seeds_of(row.id) for row in found.to_show.experiments} == {
        "LR_tiny": [1, 2], "DNN_tiny": [1], found.own.experiments[0].id: [1]
    }  # fmt: skip
    chosen = beside("tiny_suite", "Mine", {"epochs": 1}, [1], workspace, ["DNN"])
    assert [row.display_name for row in chosen.to_show.experiments] == ["DNN", "Mine (epochs=1)"]
    assert chosen.own == found.own  # a choice of rows changes nothing of the model
    with pytest.raises(UserError, match="no row of tiny_suite 'DN'; did you mean 'DNN'"):
        beside("tiny_suite", "Mine", {}, [1], workspace, ["DN"])


def test_a_run_without_a_file_is_found_again_by_its_record(workspace):
    arguments = ["run", "--model", "LR", "--dataset", "tiny", "--set", "epochs=1", "--set", "learning_rate=3e-2"]
    name = "LR_tiny_epochs=1,learning_rate=0.03"
    dry = call(workspace, *arguments, "--dry-run")
    assert "not prepared yet" in dry
    assert not workspace.cache.exists()
    assert not workspace.results.exists()
    assert f"start {name} seed 1" in call(workspace, *arguments, "--seeds", "1")
    assert "1 runs finished, 0 to run" in call(workspace, "run", name)
    assert "would run" not in call(workspace, *arguments, "--dry-run")
    record = read_record(workspace.run_folder("tiny", name, 1) / "record.json")
    recorded, seeds = load_recorded_experiment(workspace.results, name)
    assert (resolve(recorded).digest, seeds) == (record.digest, [1])
    shown = {row["name"]: row for row in json.loads(call(workspace, "show", name, "--json"))["settings"]}
    assert (shown["learning_rate"]["value"], shown["learning_rate"]["from"]) == (0.03, "its record")
    assert shown["shuffle"]["from"] == "its record, as the default of the training"
    assert "LR (epochs=1,learning_rate=0.03)" in call(workspace, "leaderboard", name)
    assert "no suite or experiment 'LR_tiny_epochs=2'" in call(workspace, "run", "LR_tiny_epochs=2", code=2)


def test_an_experiment_with_a_setting_changed_stands_beside_its_runs_as_it_is(workspace):
    name = "LR_tiny@learning_rate=0.03"
    alone = call(workspace, "run", "LR_tiny", "--set", "learning_rate=3e-2", "--seeds", "1")
    assert f"start {name} seed 1" in alone
    call(workspace, "run", "LR_tiny", "--seeds", "1,2")
    beside = call(workspace, "run", "LR_tiny", "--set", "learning_rate=3e-2", "--seeds", "1")
    assert "1 runs finished, 0 to run" in beside
    _, shown = adhoc.changed("LR_tiny", {"learning_rate": 0.03}, [1], workspace)
    assert {config.display_name: shown.seeds_of(config.id) for config in shown.experiments} == {
        "LR (learning_rate=0.03)": [1],
        "LR": [1, 2],
    }
    record = read_record(workspace.run_folder("tiny", name, 1) / "record.json")
    plain = read_record(workspace.run_folder("tiny", "LR_tiny", 1) / "record.json")
    assert (record.role, record.params["model"]["learning_rate"]) == ("study", 0.03)
    assert record.params == {**plain.params, "model": {**plain.params["model"], "learning_rate": 0.03}}
    assert "'learning_rat'; did you mean 'learning_rate'" in call(
        workspace, "run", "LR_tiny", "--set", "learning_rat=1", code=2
    )


def test_an_own_model_is_copied_remembered_and_travels(workspace, model_file, tmp_path):
    arguments = ["run", "--model-file", str(model_file), "--beside", "tiny_suite", "--set", "epochs=1", "--seeds", "1"]
    name = "Mine_tiny_as_tiny_suite,epochs=1"
    assert "not equal: epochs is 1 for Mine; on tiny_suite it is 2 in 2 rows" in call(workspace, *arguments)
    folder = workspace.run_folder("tiny", name, 1)
    copied = {path.relative_to(folder / "model").as_posix() for path in (folder / "model").rglob("*")}
    assert copied == {"my_model.py", "parts.py"}  # what it imports, and nothing else
    assert (folder / "model" / "my_model.py").read_bytes() == model_file.read_bytes()
    assert not (workspace.results / "leaderboards").exists()  # a board with a row more is not the suite's

    use_sources(INSTALLED_ONLY)
    assert "Mine" in call(workspace, "list", "models")
    assert "1 runs finished, 0 to run" in call(workspace, "run", name)
    assert "Mine (epochs=1)" in call(workspace, "leaderboard", "tiny_suite", "--with", name)
    call(workspace, "submit", "pack", name, "--out", str(tmp_path / "sent.zip"))
    with zipfile.ZipFile(tmp_path / "sent.zip") as archive:
        assert archive.read("seed-1/model/my_model.py") == model_file.read_bytes()
        assert "seed-1/model/parts.py" in archive.namelist()
    assert "verified" in call(workspace, "submit", "verify", str(tmp_path / "sent.zip"))


def test_an_edited_model_is_said_to_be_and_update_repeats_it_alone(workspace, model_file):
    arguments = ["run", "--model-file", str(model_file), "--beside", "tiny_suite", "--set", "epochs=1", "--seeds", "1"]
    name = "Mine_tiny_as_tiny_suite,epochs=1"
    assert "was edited" not in call(workspace, *arguments)
    model_file.write_text(model_file.read_text().replace("return {", "embeddings = embeddings * 1.5\n        return {"))
    repeat = f"fuxibench run {name} --seeds 1 --force"
    refused = call(workspace, *arguments, code=2)
    assert "With --update, this command repeats all such runs and no others." in refused
    board = call(workspace, "leaderboard", "tiny_suite", "--with", name)
    said = "Mine (epochs=1): its model was edited after these runs"
    assert f"⚠ {said}, which {repeat} repeats." in " ".join(board.split())
    assert said in call(workspace, "table", "--boards", "tiny_suite", "--with", name)
    assert said in call(workspace, "compare", name, "LR_tiny")
    assert "its model was edited since" in call(workspace, "status", name)
    again = call(workspace, *arguments, "--update")
    assert "2 runs finished, 1 to run" in again  # the board's own rows are not repeated
    assert "was edited" not in again


def test_a_failing_model_shows_its_own_line(workspace, model_file, tmp_path):
    condition = "        if self.training and embeddings.shape[0] > 16:\n"  # more rows than are tried first
    broken = f"{condition}            embeddings @ embeddings[:3]\n        return {{"
    text = model_file.read_text().replace("        return {", broken)
    model_file.write_text(text)
    line = text.splitlines().index("            embeddings @ embeddings[:3]") + 1
    late = call(workspace, "run", "--model-file", str(model_file), "--dataset", "tiny", "--set", "epochs=1", code=1)
    assert f"your line: my_model.py:{line}, in forward: embeddings @ embeddings[:3]" in late
    assert "  | RuntimeError: mat1 and mat2" in late
    # The same in another folder, since this process has loaded the first one.
    other = write(tmp_path / "other" / "my_model.py", text.replace(" and embeddings.shape[0] > 16", ""))
    write(tmp_path / "other" / "parts.py", PARTS)
    early = call(workspace, "run", "--model-file", str(other), "--dataset", "tiny", code=2)
    assert "fails on its first batch: RuntimeError" in early
    assert f"(at my_model.py:{line}, in forward: embeddings @ embeddings[:3])" in early
    beside_rows = call(workspace, "run", "--model-file", str(other), "--beside", "tiny_suite", code=2)
    assert "fails on its first batch" in beside_rows  # before any row is trained
    assert not workspace.run_folder("tiny", "DNN_tiny", 1).exists()


WRONG = {
    "nothing": ([], "what to run is named"),
    "both": (["tiny_suite", "--model", "LR"], "leave out --model"),
    "settings of a suite": (["tiny_suite", "--set", "epochs=1"], "is a suite; name one of its experiments, such as"),
    "no data": (["--model", "LR"], "name them by --dataset"),
    "unknown dataset": (["--model", "LR", "--dataset", "tinny"], "did you mean 'tiny'?"),
    "unknown model": (["--model", "LRR", "--dataset", "tiny"], "no model 'LRR'"),
    "unknown setting": (["--model", "LR", "--dataset", "tiny", "--set", "epoch=1"], "did you mean 'epochs'?"),
    "no setting": (["--model", "LR", "--dataset", "tiny", "--set", "display_name=x"], "no setting 'display_name'"),
    "two models": (["--model", "LR", "--dataset", "tiny", "--set", "model=DNN"], "leave model out of the settings"),
    "unknown board": (["--model", "LR", "--beside", "tiny_suit"], "did you mean 'tiny_suite'?"),
    "rows of no board": (["--model", "LR", "--dataset", "tiny", "--rows", "DNN"], "that --beside names"),
    "a dataset and a board": (["--model", "LR", "--beside", "tiny_suite", "--dataset", "tiny"], "leave out --dataset"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", WRONG)
def test_what_does_not_go_together_is_one_message(workspace, mistake):
    arguments, message = WRONG[mistake]
    output = call(workspace, "run", *arguments, code=2)
    assert message in output
    assert output.count("error:") == 1
    assert not workspace.results.exists()


def test_model_files_are_remembered_by_model_and_newer_ones_win(workspace, model_file, tmp_path, caplog):
    remember(workspace.configs, [model_file])
    assert (workspace.configs / MEMORY).read_text() == "{Mine: mine/my_model.py}\n"  # relative to the workspace
    assert all_model_files(workspace.configs) == (str(model_file),)
    other = write(tmp_path / "elsewhere" / "other.py", MODEL)
    assert all_model_files(workspace.configs, [other]) == (str(other),)
    model_file.unlink()
    assert all_model_files(workspace.configs) == ()
    assert "which is gone" in caplog.text


def test_listing_executes_no_remembered_file(workspace, model_file):
    model_file.write_text(model_file.read_text() + "\nraise SystemExit('executed')\n")
    remember(workspace.configs, [model_file])
    write(workspace.configs / "model_config" / "mine.yaml", "Mine_tiny: {model: Mine, dataset_id: tiny}\n")
    for arguments in (["list"], ["status", "Mine_tiny"], ["data", "list"]):
        assert "executed" not in call(workspace, *arguments)


def test_show_says_where_each_setting_comes_from(workspace):
    shown = json.loads(call(workspace, "show", "DNN_tiny", "--json"))
    origins = {row["name"]: row["from"] for row in shown["settings"]}
    assert origins["batch_size"] == "Base of tiny.yaml"
    assert origins["hidden_units"] == "tiny.yaml"
    assert origins["net_dropout"] == "default of DNN"
    assert origins["max_gradient_norm"] == "default of the training"
    assert set(origins) == set().union(*resolve(find_suite("DNN_tiny", workspace).experiments[0]).params.values())
    assert "is a suite" in call(workspace, "show", "tiny_suite", code=2)


def test_lists_as_json(workspace):
    assert [row["name"] for row in json.loads(call(workspace, "list", "suites", "--json"))] == ["tiny_suite"]
    assert set(json.loads(call(workspace, "list", "--json"))) == {
        "models", "datasets", "experiments", "suites", "metrics", "settings"
    }  # fmt: skip
    assert [row["state"] for row in json.loads(call(workspace, "status", "tiny_suite", "--json"))] == ["waiting"] * 4
    assert [row["dataset_id"] for row in json.loads(call(workspace, "data", "list", "--json"))] == ["tiny"]


def test_checks_as_json(workspace):
    printed = call(workspace, "data", "audit", "tiny", "--json")
    said = json.loads(printed[printed.index("{") :])  # after the progress, which goes to stderr
    assert said["rows"] == {"train": 600, "valid": 300, "test": 300}
    assert set(said["columns"]) == {"user", "shop", "price", "shops"}
    findings = json.loads(call(workspace, "doctor", "--json"))
    assert {finding["about"] for finding in findings} >= {"devices", "records", "tiny"}


COMPLETED = {
    "run tiny_": "tiny_suite",
    "run --model RankE": "RankElastor",
    "data prepare t": "tiny",
    "show DNN": "DNN_tiny",
}


@pytest.mark.parametrize("line", COMPLETED)
def test_shells_complete_names(workspace, line):
    words = f"fuxibench --configs {workspace.configs} {line}"
    environment = {
        "_FUXIBENCH_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)
    }  # fmt: skip
    result = CliRunner().invoke(main, [], env=environment, prog_name="fuxibench")
    assert f"plain,{COMPLETED[line]}" in result.output.splitlines()
