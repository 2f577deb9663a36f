"""Which classes of a file are models, and how a file imports what lies beside it."""

import sys

import pytest

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.experiments.code import model_digest
from fuxi_plugins.models import registry
from fuxi_plugins.models.model_files import models_of
from tests.conftest import write

MODEL = """\
    {imports}
    from fuxictr.pytorch.models import BaseModel
    class {name}(BaseModel):
        width = WIDTH
    """


@pytest.fixture(autouse=True)
def forget_sources():
    yield
    registry.use_sources(registry.INSTALLED_ONLY)


def loaded(*files):
    """The model classes of the files by name."""
    registry.use_sources(registry.Sources(files=tuple(map(str, files))))
    return {name: registry.load_model_class(name) for file in files for name in models_of(file)}


def test_a_model_may_derive_from_any_model_that_its_file_can_name(tmp_path):
    write(tmp_path / "pack" / "__init__.py", "from .net import Net\n")
    write(tmp_path / "pack" / "net.py", "from fuxictr.pytorch.models import MultiTaskModel as M\nclass Net(M): pass\n")
    write(tmp_path / "ring.py", "from mine import Ring\nclass Circle(Ring): pass\n")
    source = """\
        import fuxictr.pytorch.models as known
        from fuxictr.pytorch import models
        from fuxi_plugins.models.base import CTRModel
        from fuxi_plugins.models.needs import Needs
        from fuxi_plugins.models.rankmixer import RankMixer as Mixer
        from ring import Circle
        from .pack import Net
        from unknown import Base
        class A(known.BaseModel): pass
        class B(A): pass
        class C(models.MultiTaskModel): pass
        class D(CTRModel): pass
        class E(object, Mixer): pass
        class F(Net): pass
        class Wishes(Needs): pass
        class Stranger(Base): pass
        class Ring(Circle): pass
        """
    assert models_of(write(tmp_path / "mine.py", source)) == ["A", "B", "C", "D", "E", "F"]
    with pytest.raises(UserError, match="alone.py must define a class whose base is BaseModel or another class"):
        models_of(write(tmp_path / "alone.py", "class Alone: pass\n"))
    with pytest.raises(UserError, match="no dot in its name before .py, as for every Python module; try mine_v2.py"):
        models_of(write(tmp_path / "mine.v2.py", "class Alone: pass\n"))


@pytest.mark.parametrize("imports", ["from widths import WIDTH", "from .widths import WIDTH"])
def test_a_model_imports_its_neighbours_by_either_name(tmp_path, monkeypatch, imports):
    monkeypatch.delitem(sys.modules, "widths", raising=False)
    file = write(tmp_path / "one.py", MODEL.format(name="One", imports=imports))
    helper = write(tmp_path / "widths.py", "WIDTH = 3\n")
    assert loaded(file)["One"].width == 3
    assert str(tmp_path) not in sys.path
    before = model_digest("One")
    helper.write_text("WIDTH = 4\n")
    assert model_digest("One") != before


def test_a_model_in_a_package_imports_from_the_whole_package(tmp_path):
    write(tmp_path / "bundle_of_mine" / "__init__.py", "")
    write(tmp_path / "bundle_of_mine" / "sizes.py", "WIDTH = 5\n")
    write(tmp_path / "bundle_of_mine" / "nets" / "__init__.py", "")
    for name, imports in {"Near": "from ..sizes import WIDTH", "Far": "from bundle_of_mine.sizes import WIDTH"}.items():
        file = tmp_path / "bundle_of_mine" / "nets" / f"{name.lower()}.py"
        assert loaded(write(file, MODEL.format(name=name, imports=imports)))[name].width == 5
        assert registry.model_source(name).root == tmp_path


def test_neighbours_of_one_name_do_not_mix(tmp_path, monkeypatch):
    for name, width in (("One", 3), ("Two", 5)):
        write(tmp_path / name / "net.py", MODEL.format(name=name, imports="from its_width import WIDTH"))
        write(tmp_path / name / "its_width.py", f"WIDTH = {width}\n")
    write(tmp_path / "Three" / "net.py", MODEL.format(name="Three", imports="from .its_width import WIDTH"))
    write(tmp_path / "Three" / "its_width.py", "WIDTH = 7\n")
    monkeypatch.delitem(sys.modules, "its_width", raising=False)  # and is forgotten again after the test
    assert loaded(tmp_path / "One" / "net.py")["One"].width == 3
    assert loaded(tmp_path / "Three" / "net.py")["Three"].width == 7
    with pytest.raises(UserError) as error:
        loaded(tmp_path / "Two" / "net.py")
    assert "Two/net.py imports its_width, which must lie beside it, but another" in str(error.value)
    assert "Write 'from .its_width import', or rename one of the two." in str(error.value)


def test_what_a_file_raises_names_its_line(tmp_path):
    file = write(
        tmp_path / "gone.py",
        "import nothing_of_this_name\n" + "from fuxictr.pytorch.models import BaseModel\nclass Gone(BaseModel): pass\n",
    )
    with pytest.raises(UserError, match=r"No module named 'nothing_of_this_name' \(at gone.py:1, in <module>: import"):
        loaded(file)
    file.write_text(file.read_text().replace("import nothing_of_this_name", "raise SystemExit('no GPU')"))
    with pytest.raises(UserError, match=r"gone.py cannot be loaded: SystemExit: no GPU \(at gone.py:1"):
        loaded(file)
