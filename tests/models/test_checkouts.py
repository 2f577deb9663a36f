"""The zoo of a FuxiCTR checkout, and models in single files."""

import inspect
import os
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from fuxi_plugins.cli.main import main
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.datasets.catalogue import load_dataset_spec
from fuxi_plugins.datasets.prepare import prepare_dataset
from fuxi_plugins.experiments.catalogue import load_experiment_configs
from fuxi_plugins.experiments.common import start_board
from fuxi_plugins.experiments.experiment import Experiment, resolve
from fuxi_plugins.experiments.requirements import unmet_need
from fuxi_plugins.experiments.suite import load_suite
from fuxi_plugins.models import checkouts, registry
from fuxi_plugins.records.files import find_records
from fuxi_plugins.training.assembly import build_model
from fuxi_plugins.training.preflight import try_one_batch
from fuxi_plugins.training.trainer import train_model
from tests.conftest import ROOT, write
from tests.models import tiny

MODEL = """\
    from torch import nn
    from fuxictr.pytorch.models import BaseModel
    from fuxictr.pytorch.layers import FeatureEmbedding
    from .helper import WIDTH


    class {name}(BaseModel):
        def __init__(self, feature_map, model_id="{name}", gpu=-1, learning_rate=1e-3, embedding_dim=4, width=WIDTH,
                     embedding_regularizer=None, net_regularizer=None, **kwargs):
            super().__init__(feature_map, model_id=model_id, gpu=gpu, **kwargs)
            self.embedding_layer = FeatureEmbedding(feature_map, embedding_dim)
            self.net = nn.Sequential(nn.Linear(feature_map.sum_emb_out_dim(), width), nn.ReLU(), nn.Linear(width, 1))
            self.compile(kwargs["optimizer"], kwargs["loss"], learning_rate)
            self.reset_parameters()
            self.model_to_device()

        def forward(self, inputs):
            embeddings = self.embedding_layer(self.get_inputs(inputs), flatten_emb=True)
            return {{"y_pred": self.output_activation(self.net(embeddings))}}
    """


@pytest.fixture
def checkout(tmp_path) -> Path:
    """Two models whose packages are both called ``src`` and whose helpers differ, and three that will not do."""
    folder = tmp_path / "checkout" / "model_zoo"
    for name, width in (("One", 3), ("Two", 5)):
        write(folder / name / "src" / f"{name}.py", MODEL.format(name=name))
        write(folder / name / "src" / "helper.py", f"WIDTH = {width}\n")
        write(folder / name / "src" / "__init__.py", f"from .{name} import *\n")
    write(folder / "Broken" / "src" / "Broken.py", "class Broken(BaseModel:\n")
    write(
        folder / "Flow" / "src" / "Flow.py",
        "from fuxictr.tensorflow.models import BaseModel\nclass Flow(BaseModel): pass\n",
    )
    bomb = "from fuxictr.pytorch.models import BaseModel\nraise RuntimeError('executed')\nclass Bomb(BaseModel): pass\n"
    write(folder / "Bomb" / "src" / "Bomb.py", bomb)
    return folder.parent


@pytest.fixture(autouse=True)
def forget_sources():
    yield
    registry.use_sources(registry.INSTALLED_ONLY)


def test_models_are_found_without_executing_anything_and_a_broken_file_spoils_nothing(checkout):
    found = checkouts.discover(checkout)
    assert set(found.models) == {"One", "Two", "Bomb"}
    assert [path.name for path in found.unreadable] == ["Broken.py"]
    assert [path.name for path in found.other] == ["Flow.py"]
    shown = CliRunner().invoke(main, ["zoo", str(checkout)])
    assert "zoo:One" in shown.output
    assert "Broken.py" in shown.output


def test_a_named_checkouts_models_are_listed_and_stand_on_a_new_board(checkout, workspace):
    registry.use_sources(registry.Sources(str(checkout)))
    listed = [name for name in registry.model_names() if name.startswith("zoo:")]
    assert {"zoo:One", "zoo:Two"} <= set(listed)
    assert registry.model_summary("zoo:One").endswith("One.py")
    start_board(workspace.configs, "tiny", ["zoo:One", "LR"])
    suite = load_suite(workspace.configs, "tiny_common")
    assert [(row.id, row.model) for row in suite.experiments] == [
        ("zoo_One_tiny_common", "zoo:One"),
        ("LR_tiny_common", "LR"),
    ]


def test_two_packages_called_src_do_not_mix_and_the_checkout_stays_off_the_path(checkout):
    registry.use_sources(registry.Sources(zoo=str(checkout)))
    before = list(sys.path)
    one, two = registry.load_model_class("zoo:One"), registry.load_model_class("zoo:Two")
    assert [tiny.build(model, embedding_dim=4).net[0].out_features for model in (one, two)] == [3, 5]
    assert sys.path == before
    assert "src" not in sys.modules
    with pytest.raises(UserError, match=r"Bomb.py cannot be loaded: RuntimeError: executed"):
        registry.load_model_class("zoo:Bomb")
    with pytest.raises(UserError, match="there is no zoo model 'Oen'; did you mean 'One'"):
        registry.load_model_class("zoo:Oen")


def test_without_a_checkout_a_zoo_model_says_what_to_do():
    with pytest.raises(UserError, match="name one: fuxibench --zoo PATH"):
        registry.load_model_class("zoo:DeepFM")


def test_both_run_in_one_suite_and_their_records_say_which_code_they_are(checkout, workspace):
    experiments = {
        "Base": {"dataset_id": "tiny", "batch_size": 100, "epochs": 1},
        "One_zoo": {"model": "zoo:One"},
        "Two_zoo": {"model": "zoo:Two", "width": 7},
    }
    (workspace.configs / "model_config" / "zoo.yaml").write_text(yaml.safe_dump(experiments))
    write(workspace.configs / "suites" / "both.yaml", "title: Both\nexperiments: [One_zoo, Two_zoo]\nseeds: [1]\n")
    options = ["--configs", str(workspace.configs), "--results", str(workspace.results), "--zoo", str(checkout)]
    done = CliRunner().invoke(main, [*options, "run", "both", "--jobs", "2", "--threads", "1"])
    assert done.exit_code == 0, done.output
    one, two = sorted(find_records(workspace.results), key=lambda record: record.model)
    assert (one.status, two.status) == ("finished", "finished")
    assert one.model_source.file == "model_zoo/One/src/One.py"
    assert one.code.model.startswith("sha256:")
    assert one.code.model != two.code.model
    assert two.params["model"]["width"] == 7
    (workspace.configs / "model_config" / "zoo.yaml").write_text(
        yaml.safe_dump({**experiments, "Two_zoo": {"model": "zoo:Two", "widht": 7}})
    )
    wrong = CliRunner().invoke(main, [*options, "run", "both"])
    assert wrong.exit_code == 2
    assert "Two has no setting 'widht'; did you mean 'width'?" in wrong.output


def test_a_model_that_fails_on_its_first_batch_is_refused_before_the_run(checkout, workspace):
    file = checkout / "model_zoo" / "One" / "src" / "One.py"
    file.write_text(file.read_text().replace("self.net(embeddings)", "self.net(embeddings[:, :-1])"))
    (workspace.configs / "model_config" / "zoo.yaml").write_text("One_zoo: {model: 'zoo:One', dataset_id: tiny}\n")
    options = ["--configs", str(workspace.configs), "--results", str(workspace.results), "--zoo", str(checkout)]
    done = CliRunner().invoke(main, [*options, "run", "One_zoo"])
    assert done.exit_code == 2
    assert "'One_zoo' fails on its first batch: RuntimeError" in done.output


def test_in_a_suite_a_model_that_fails_on_its_first_batch_spoils_no_other(checkout, workspace):
    file = checkout / "model_zoo" / "One" / "src" / "One.py"
    file.write_text(file.read_text().replace("self.net(embeddings)", "self.net(embeddings[:, :-1])"))
    experiments = {
        f"{name}_zoo": {"model": f"zoo:{name}", "dataset_id": "tiny", "epochs": 1} for name in ("One", "Two")
    }
    (workspace.configs / "model_config" / "zoo.yaml").write_text(yaml.safe_dump(experiments))
    write(workspace.configs / "suites" / "both.yaml", "title: Both\nexperiments: [One_zoo, Two_zoo]\nseeds: [1]\n")
    options = ["--configs", str(workspace.configs), "--results", str(workspace.results), "--zoo", str(checkout)]
    done = CliRunner().invoke(main, [*options, "run", "both", "--jobs", "1", "--threads", "1"])
    assert done.exit_code == 0, done.output
    assert "skipped: experiment 'One_zoo' fails on its first batch: RuntimeError" in done.output
    one, two = sorted(find_records(workspace.results), key=lambda record: record.model)
    assert (one.status, two.status) == ("skipped", "finished")


def test_the_cost_of_a_checkouts_model_is_measured(checkout, workspace):
    experiment = {"One_zoo": {"model": "zoo:One", "dataset_id": "tiny"}}
    (workspace.configs / "model_config" / "zoo.yaml").write_text(yaml.safe_dump(experiment))
    options = ["--configs", str(workspace.configs), "--results", str(workspace.results), "--zoo", str(checkout)]
    done = CliRunner().invoke(main, [*options, "cost", "One_zoo"])
    assert done.exit_code == 0, done.output
    assert "One_zoo" in done.output


def test_a_model_that_asks_for_sources_needs_them_in_the_datasets_config(checkout, workspace):
    towers = MODEL.format(name="Towers").replace(
        "self.net(embeddings)",
        'self.net(embeddings), self.embedding_layer(self.get_inputs(inputs), feature_source="user")',
    )
    write(checkout / "model_zoo" / "One" / "src" / "Towers.py", towers)
    registry.use_sources(registry.Sources(zoo=str(checkout)))
    model_class = registry.load_model_class("zoo:Towers")
    assert model_class.needs.sources == ("user",)
    spec = load_dataset_spec(workspace.configs, "tiny")
    assert unmet_need(model_class, "Towers", spec) is None
    spec = spec.model_copy(update={"feature_sources": {}})
    assert unmet_need(model_class, "Towers", spec) == (
        "Towers cannot run on tiny: it needs features of source user, which the dataset's config gives to none"
    )
    columns = [column.model_copy(update={"source": "user"}) for column in spec.feature_cols]
    assert unmet_need(model_class, "Towers", spec.model_copy(update={"feature_cols": columns})) is None


def test_a_single_run_refuses_what_its_model_needs_and_a_suite_skips_it(workspace):
    dataset = workspace.configs / "dataset_config" / "tiny.yaml"
    config = yaml.safe_load(dataset.read_text())
    config["tiny"]["feature_cols"] = [c for c in config["tiny"]["feature_cols"] if c["type"] != "sequence"]
    del config["tiny"]["feature_sources"]
    dataset.write_text(yaml.safe_dump(config))
    (workspace.configs / "model_config" / "din.yaml").write_text("DIN_tiny: {model: DIN, dataset_id: tiny}\n")
    write(workspace.configs / "suites" / "two.yaml", "title: Two\nexperiments: [LR_tiny, DIN_tiny]\nseeds: [1]\n")
    options = ["--configs", str(workspace.configs), "--results", str(workspace.results)]
    alone = CliRunner().invoke(main, [*options, "run", "DIN_tiny"])
    assert alone.exit_code == 2
    assert "error: DIN cannot run on tiny: it needs a behaviour history." in alone.output
    assert not list(find_records(workspace.results))
    both = CliRunner().invoke(main, [*options, "run", "two", "--jobs", "1", "--threads", "1"])
    assert both.exit_code == 0, both.output
    assert "skipped: DIN cannot run on tiny: it needs a behaviour history." in both.output
    by_model = {record.model: record for record in find_records(workspace.results)}
    assert (by_model["LR"].status, by_model["DIN"].status) == ("finished", "skipped")
    board = CliRunner().invoke(main, [*options, "leaderboard", "two", "--format", "md"])
    assert "skipped: DIN cannot run on tiny" in board.output


def test_a_model_in_a_file_is_known_by_its_class(tmp_path, workspace):
    file = write(tmp_path / "mine.py", MODEL.format(name="Mine").replace("from .helper import WIDTH", "WIDTH = 2"))
    (workspace.configs / "model_config" / "mine.yaml").write_text(
        "Mine_tiny: {model: Mine, dataset_id: tiny, epochs: 1}\n"
    )
    options = ["--configs", str(workspace.configs), "--results", str(workspace.results), "--model-file", str(file)]
    done = CliRunner().invoke(main, [*options, "run", "Mine_tiny", "--jobs", "1", "--threads", "1"])
    assert done.exit_code == 0, done.output
    (record,) = find_records(workspace.results)
    assert (record.status, record.model, record.model_source.file) == ("finished", "Mine", "mine.py")
    taken = write(tmp_path / "taken.py", MODEL.format(name="DeepFM"))
    refused = CliRunner().invoke(main, ["--model-file", str(taken), "list", "models"])
    assert refused.exit_code == 2
    assert "a model name must be unique, but 'DeepFM'" in refused.output
    empty = write(tmp_path / "empty.py", "x = 1\n")
    assert (
        "must define a class whose base is BaseModel"
        in CliRunner().invoke(main, ["--model-file", str(empty), "list", "models"]).output
    )


HISTORY = {"target_field": ["cate_id"], "sequence_field": ["cate_his"], "neg_seq_field": None}
UNITS = {"parallel_dnn_hidden_units": [16]}
# Settings without which zoo models do not run on the twin: their defaults name features of other datasets, or none.
ON_TWIN = {
    "AOANet": {"embedding_dim": 4},
    "APG_DCNv2": {**UNITS, "rank_k": 8, "overparam_p": 16},
    "BST": {"bst_target_field": ["cate_id"], "bst_sequence_field": ["cate_his"]},
    "DCNv2": UNITS,
    "DIEN": {"dien_target_field": ["cate_id"], "dien_sequence_field": ["cate_his"], "dien_neg_seq_field": []},
    "DIN": {"din_target_field": [["cate_id", "brand"]], "din_sequence_field": [["cate_his", "brand_his"]]},
    "DMIN": HISTORY,
    "DMR": {**HISTORY, "context_field": None},
    "GDCN": {"dnn_hidden_units": [16]},
    "GDCNP": {"dnn_hidden_units": [16]},
    "LongCTR/DCNv2": UNITS,
    "PPNet": {"gate_priors": ["userid", "pid"]},
    "TransAct": {"target_item_field": ["cate_id"], "sequence_item_field": ["cate_his"]},
}


@pytest.mark.slow
def test_the_classes_of_a_real_checkout_load_and_train_or_are_refused_for_a_reason(tmp_path):
    """Needs a checkout of reczoo/FuxiCTR; trains every class for an epoch on a small twin, and prints what does not."""
    root = os.environ.get("FUXICTR_CHECKOUT")
    if not root:
        pytest.skip("no checkout of FuxiCTR: set FUXICTR_CHECKOUT")
    registry.use_sources(registry.Sources(zoo=root))
    workspace, names = twin_workspace(tmp_path), list(checkouts.discover(Path(root)).models)
    data = prepare_dataset(load_dataset_spec(workspace.configs, "twin"), workspace)
    failed, refused, trained = {}, {}, []
    for name in names:
        try:
            model_class = registry.load_model_class(f"zoo:{name}")
        except UserError as error:
            failed[name] = f"does not load: {error}"
            continue
        try:
            experiment = one_epoch(name, model_class, workspace)
            if reason := unmet_need(model_class, name, data.spec) or try_one_batch(experiment, data, tmp_path):
                refused[name] = reason
            else:
                model = build_model(experiment, data, gpu=-1, checkpoint_folder=tmp_path)
                trained.append((name, train_model(model, experiment, data, 1, lambda _: None)))
        except Exception as error:  # whatever another's code raises is counted and shown
            failed[name] = f"{type(error).__name__}: {error}"
    unloaded = [name for name, reason in failed.items() if reason.startswith("does not load")]
    print(
        f"{len(names)} classes: {len(names) - len(unloaded)} load, {len(trained)} train, {len(refused)} are refused, "
        f"{len(failed)} fail"
    )
    for name, reason in {**refused, **failed}.items():
        print(f"  {name}: {reason}"[:300])
    assert len(names) - len(unloaded) >= 65
    assert not set(failed) - set(unloaded)
    assert len(trained) >= 60
    assert all(epoch.valid["AUC"] > 0 for _, history in trained for epoch in history)


def twin_workspace(folder: Path) -> Workspace:
    """A workspace with a small twin of TaobaoAd_x1."""
    twins = yaml.safe_load((ROOT / "benchmark_configs" / "dataset_config" / "twins.yaml").read_text())
    config = twins["taobaoad_x1_twin"]
    config["build_args"] = {"seed": 3, "rows": [2000, 500], "users": 60, "ads": 300}
    write(folder / "configs" / "dataset_config" / "twin.yaml", yaml.safe_dump({"twin": config}))
    return Workspace(folder / "configs", folder / "results", folder / "cache")


def one_epoch(name: str, model_class: type, workspace: Workspace) -> Experiment:
    width = {"embedding_dim": 8} if "embedding_dim" in inspect.signature(model_class.__init__).parameters else {}
    training = {"batch_size": 500, "epochs": 1, "metrics": ["AUC", "logloss"]}
    experiment = {"model": f"zoo:{name}", "dataset_id": "twin", **training, **width, **ON_TWIN.get(name, {})}
    (workspace.configs / "model_config.yaml").write_text(yaml.safe_dump({"one": experiment}))
    return resolve(load_experiment_configs(workspace.configs)["one"])
