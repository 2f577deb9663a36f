import importlib
import inspect
import subprocess
import sys

import pytest

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.models import registry
from fuxi_plugins.models.registry import NATIVE_MODELS, load_model_class, model_names, model_summary, register
from tests.conftest import ROOT


@pytest.fixture(autouse=True)
def forget_registered(monkeypatch):
    monkeypatch.setattr(registry, "_registered", {})


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Puts a package with entry points where importlib.metadata finds it, as pip would."""

    def install_package(package: str, models: dict[str, str], source: str = "") -> None:
        (tmp_path / f"{package}.py").write_text(source)
        info = tmp_path / f"{package}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        lines = [f"{name} = {target}" for name, target in models.items()]
        (info / "entry_points.txt").write_text("\n".join(["[fuxi_plugins.models]", *lines]))

    monkeypatch.syspath_prepend(tmp_path)
    yield install_package
    importlib.invalidate_caches()


PLUGIN = """
from fuxictr.pytorch.models import BaseModel

class Theirs(BaseModel):
    pass

class NoModel:
    pass
"""


def test_native_models_are_listed_in_order():
    names = model_names()
    assert set(NATIVE_MODELS) <= set(names)
    assert names == sorted(names, key=str.casefold)


@pytest.mark.parametrize("name", NATIVE_MODELS)
def test_a_summary_is_the_first_line_of_the_docstring(name):
    model_class = load_model_class(name)
    assert model_class.__name__ == name
    assert model_summary(name) == inspect.getdoc(model_class).splitlines()[0]


def test_listing_loads_neither_torch_nor_fuxictr():
    code = (
        "import sys; from fuxi_plugins.models.registry import model_names, model_summary;"
        "[model_summary(name) for name in model_names()]; print({'torch', 'fuxictr'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("ask", [load_model_class, model_summary])
def test_an_unknown_name_is_answered_with_the_nearest(ask):
    with pytest.raises(UserError, match="no model 'rankelaster'; did you mean 'RankElastor'"):
        ask("rankelaster")


def test_an_installed_package_brings_models(install):
    install("their_models", {"Theirs": "their_models:Theirs"}, PLUGIN)
    assert "Theirs" in model_names()
    assert model_summary("Theirs") == "from their_models 1.0"
    assert load_model_class("Theirs").__module__ == "their_models"


def test_an_installed_model_may_not_take_a_native_name(install):
    install("greedy_models", {"DCNv2": "greedy_models:DCNv2"})
    with pytest.raises(UserError, match="'DCNv2' comes from both fuxi_plugins and greedy_models 1.0"):
        model_names()


def test_two_installed_packages_may_not_share_a_name(install):
    install("models_a", {"Theirs": "models_a:Theirs"})
    install("models_b", {"Theirs": "models_b:Theirs"})
    with pytest.raises(UserError, match="'Theirs' comes from both models_. 1.0 and models_. 1.0"):
        load_model_class("DCNv2")


def test_only_fuxictr_models_are_let_in(install):
    install("other_models", {"NoModel": "other_models:NoModel"}, PLUGIN)
    with pytest.raises(UserError, match="from other_models 1.0 must be a subclass of .*BaseModel, but .*NoModel"):
        load_model_class("NoModel")


@pytest.mark.parametrize("target", ["broken_models:Missing", "no_such_module:Missing"])
def test_a_model_that_cannot_be_loaded_says_who_brought_it(install, target):
    install("broken_models", {"Broken": target})
    with pytest.raises(UserError, match="'Broken' from broken_models 1.0 cannot be loaded: .*(Missing|no_such_module)"):
        load_model_class("Broken")


def test_a_registered_model_is_known(install):
    register("Alias", "fuxi_plugins.models.lr:LR")
    assert "Alias" in model_names()
    assert load_model_class("Alias") is load_model_class("LR")
    assert model_summary("Alias") == model_summary("LR")


def test_a_name_is_taken_once():
    register("Mine", "fuxi_plugins.models.lr:LR")
    for name in ("Mine", "RankMixer"):
        with pytest.raises(UserError, match=f"'{name}' is to be a.b:C and is already fuxi_plugins"):
            register(name, "a.b:C")


def test_a_target_has_a_module_and_a_class():
    with pytest.raises(UserError, match="written as 'module:Class', but this one is 'lr.LR'"):
        register("Mine", "lr.LR")
