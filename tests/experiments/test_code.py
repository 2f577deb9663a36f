"""The code of a model is part of what a run is."""

import sys

import pytest
from click.testing import CliRunner

import fuxi_plugins.models.registry as registry
from fuxi_plugins.cli.main import main
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.source import reached_files, source_digest
from fuxi_plugins.experiments import code
from fuxi_plugins.experiments.code import code_of, model_digest
from fuxi_plugins.records.files import find_records
from tests.conftest import write

MODEL = """\
    from fuxictr.pytorch.layers import FeatureEmbedding, MLP_Block
    from fuxictr.pytorch.models import BaseModel

    from .widths import WIDTH


    class Mine(BaseModel):
        "Mine is an MLP."

        def __init__(self, feature_map, model_id="Mine", gpu=-1, learning_rate=1e-2, embedding_dim=4, **kwargs):
            super().__init__(feature_map, model_id=model_id, gpu=gpu, **kwargs)
            self.embedding_layer = FeatureEmbedding(feature_map, embedding_dim)
            self.mlp = MLP_Block(feature_map.sum_emb_out_dim(), hidden_units=[WIDTH], output_dim=1)  # a comment
            self.compile(kwargs["optimizer"], kwargs["loss"], learning_rate)
            self.reset_parameters()
            self.model_to_device()

        def forward(self, inputs):
            "To the probability."
            embeddings = self.embedding_layer(self.get_inputs(inputs), flatten_emb=True)
            return {"y_pred": self.output_activation(self.mlp(embeddings))}
    """


@pytest.fixture
def model_file(tmp_path, monkeypatch):
    file = write(tmp_path / "mine" / "mine.py", MODEL)
    write(tmp_path / "mine" / "widths.py", "WIDTH = 8\n")
    write(tmp_path / "mine" / "unrelated.py", "NOTHING = 1\n")
    monkeypatch.setattr(registry, "_sources", registry.Sources(files=(str(file),)))
    return file


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("name", "old", "new", "is_other"),
    [
        ("mine.py", "[WIDTH]", "[WIDTH, 3]", True),
        ("mine.py", "1e-2", "2e-2", True),
        ("widths.py", "8", "9", True),
        ("mine.py", '["loss"]', '["task"]', True),
        ("mine.py", "# a comment", "# another", False),
        ("mine.py", "To the probability.", "From the row to its probability.", False),
        ("mine.py", "Mine is an MLP.", "Mine has one hidden layer.", False),
        ("mine.py", "\n\n\n", "\n\n", False),
        ("unrelated.py", "1", "2", False),
    ],
)
def test_code_is_what_a_model_computes_by(model_file, name, old, new, is_other):
    before = code_of("Mine")
    edit(model_file.parent / name, old, new)
    assert (code_of("Mine") != before) == is_other


def test_an_edited_file_s_old_run_is_not_taken(model_file, workspace):
    write(workspace.configs / "model_config" / "mine.yaml", "Mine_tiny: {model: Mine, dataset_id: tiny, epochs: 1}\n")
    options = ["--configs", str(workspace.configs), "--results", str(workspace.results)]

    def run(*more):
        return CliRunner().invoke(main, [*options, "--model-file", str(model_file), "run", "Mine_tiny", *more])

    first = run()
    assert first.exit_code == 0, first.output
    assert "1 runs finished, 0 to run" in run().output
    edit(model_file.parent / "widths.py", "8", "9")
    again = run()
    assert again.exit_code == 2
    assert "code of the model sha256:" in again.output
    assert "--update" in again.output
    assert run("--seeds", "2").exit_code == 0
    one, two = find_records(workspace.results)
    assert one.digest != two.digest


def test_the_files_of_an_installed_model_are_its_package_s(tmp_path, monkeypatch):
    package = tmp_path / "theirs"
    write(package / "__init__.py", "")
    write(package / "deep" / "__init__.py", "from theirs import shared\n")
    write(package / "deep" / "model.py", "import torch\nfrom ..other import thing\n\n\nclass Theirs:\n    pass\n")
    write(package / "other.py", "thing = 1\n")
    write(package / "shared.py", "import theirs.last\n")
    write(package / "last.py", "")
    write(package / "apart.py", "")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(registry._registered, "Theirs", "theirs.deep.model:Theirs")
    reached = reached_files(package / "deep" / "model.py", tmp_path, ("theirs",))
    names = {path.relative_to(package).as_posix() for path in reached}
    assert names == {"__init__.py", "deep/__init__.py", "deep/model.py", "other.py", "shared.py", "last.py"}
    before = model_digest("Theirs")
    edit(package / "other.py", "1", "2")
    assert model_digest("Theirs") != before
    for name in [name for name in sys.modules if name.partition(".")[0] == "theirs"]:
        monkeypatch.delitem(sys.modules, name)


def test_a_native_model_is_its_revision_until_its_source_changes(monkeypatch):
    assert code_of("DNN").model == "revision 1"
    edited = {name: code.Revision(entry.revision, "0" * 64) for name, entry in code.revisions().items()}
    monkeypatch.setattr(code, "revisions", lambda: edited)
    assert code_of("DNN").model == f"sha256:{model_digest('DNN')}"
    assert code_of("DNN").training.startswith("sha256:")


def test_a_native_model_s_source_is_its_file_and_the_layers_it_uses():
    files = reached_files(code.PACKAGE / "models" / "rankelastor.py", code.PACKAGE.parent, ("fuxi_plugins/layers",))
    assert code.PACKAGE / "layers" / "mixing.py" in files
    assert model_digest("RankElastor") != model_digest("RankMixer")


def test_the_training_protocol_has_each_module_that_a_model_is_made_and_trained_by():
    """Checkpoints are left out: a run that was continued ends as one that never was interrupted. So is the base class
    that the type checker alone sees."""
    reached = [
        path
        for name in ("assembly.py", "trainer.py")
        for path in reached_files(code.PACKAGE / "training" / name, code.PACKAGE.parent, ("fuxi_plugins/training",))
    ]
    names = {path.relative_to(code.PACKAGE).as_posix() for path in reached if path.name != "__init__.py"}
    checkpoints = {f"training/distributed/sharded_{what}.py" for what in ("checkpoint", "state")}
    left_out = {"training/checkpoint.py", "training/fuxictr_model.py", *checkpoints}
    assert names - set(code.PROTOCOL) == left_out
    assert all((code.PACKAGE / name).is_file() for name in code.PROTOCOL)


def test_a_native_model_s_code_has_its_layers(monkeypatch):
    seen = []
    monkeypatch.setattr(code, "source_digest", lambda files, root: seen.extend(files) or "")
    model_digest("RankMixer")
    names = {path.relative_to(code.PACKAGE).as_posix() for path in seen}
    assert {"models/rankmixer.py", "models/token_model.py", "layers/mixing.py", "layers/per_token.py"} <= names
    assert {name.partition("/")[0] for name in names} == {"models", "layers"}


def test_indentation_is_part_of_the_source(tmp_path):
    inside = write(tmp_path / "a" / "model.py", "if X:\n    x = 1\n    y = 2\n")
    outside = write(tmp_path / "b" / "model.py", "if X:\n    x = 1\ny = 2\n")
    assert source_digest([inside], inside.parent) != source_digest([outside], outside.parent)


def test_the_name_of_a_file_is_part_of_its_source(tmp_path):
    one, other = write(tmp_path / "one.py", "X = 1\n"), write(tmp_path / "other.py", "X = 1\n")
    assert source_digest([one], tmp_path) != source_digest([other], tmp_path)


def test_a_file_that_is_no_python_is_named(tmp_path):
    broken = write(tmp_path / "broken.py", "def f(:\n")
    with pytest.raises(UserError, match="broken.py cannot be read as Python"):
        source_digest([broken], tmp_path)
