"""Which models there are: a name -> a FuxiCTR model class, or that of a tree model.

The native models below, installed packages that offer entry points in the group ``fuxi_plugins.models``, and what
``register`` was told are written as entry points are, ``"module:Class"``. Beside them stand files with a model, and the
zoo of a FuxiCTR checkout, whose models are called ``zoo:NAME``. Neither torch nor FuxiCTR is loaded until
``load_model_class`` is asked for a class.
"""

import ast
import importlib
import importlib.util
import sys
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, cast

from fuxi_plugins.core.errors import UserError, unknown_name
from fuxi_plugins.models import checkouts, model_classes
from fuxi_plugins.models.model_files import models_of

if TYPE_CHECKING:
    from fuxi_plugins.models.trees.base import TreeModel

ENTRY_POINT_GROUP = "fuxi_plugins.models"

NATIVE_MODELS = {
    "AFM": "fuxi_plugins.models.afm:AFM",
    "AFN": "fuxi_plugins.models.afn:AFN",
    "AOANet": "fuxi_plugins.models.aoanet:AOANet",
    "APG_DCNv2": "fuxi_plugins.models.apg_dcnv2:APG_DCNv2",
    "APG_DeepFM": "fuxi_plugins.models.apg_deepfm:APG_DeepFM",
    "AutoInt": "fuxi_plugins.models.autoint:AutoInt",
    "BST": "fuxi_plugins.models.bst:BST",
    "CCPM": "fuxi_plugins.models.ccpm:CCPM",
    "DCN": "fuxi_plugins.models.dcn:DCN",
    "DCNv2": "fuxi_plugins.models.dcnv2:DCNv2",
    "DCNv3": "fuxi_plugins.models.dcnv3:DCNv3",
    "DESTINE": "fuxi_plugins.models.destine:DESTINE",
    "DHEN": "fuxi_plugins.models.dhen:DHEN",
    "DIEN": "fuxi_plugins.models.dien:DIEN",
    "DIN": "fuxi_plugins.models.din:DIN",
    "DLRM": "fuxi_plugins.models.dlrm:DLRM",
    "DMIN": "fuxi_plugins.models.dmin:DMIN",
    "DMR": "fuxi_plugins.models.dmr:DMR",
    "DNN": "fuxi_plugins.models.dnn:DNN",
    "DSSM": "fuxi_plugins.models.dssm:DSSM",
    "DeepCrossing": "fuxi_plugins.models.deepcrossing:DeepCrossing",
    "DeepFM": "fuxi_plugins.models.deepfm:DeepFM",
    "DeepIM": "fuxi_plugins.models.deepim:DeepIM",
    "DualMLP": "fuxi_plugins.models.dualmlp:DualMLP",
    "EDCN": "fuxi_plugins.models.edcn:EDCN",
    "ETA": "fuxi_plugins.models.eta:ETA",
    "EulerNet": "fuxi_plugins.models.eulernet:EulerNet",
    "FFM": "fuxi_plugins.models.ffm:FFM",
    "FFMv2": "fuxi_plugins.models.ffmv2:FFMv2",
    "FGCNN": "fuxi_plugins.models.fgcnn:FGCNN",
    "FLEN": "fuxi_plugins.models.flen:FLEN",
    "FM": "fuxi_plugins.models.fm:FM",
    "FiBiNET": "fuxi_plugins.models.fibinet:FiBiNET",
    "FiGNN": "fuxi_plugins.models.fignn:FiGNN",
    "FinalMLP": "fuxi_plugins.models.finalmlp:FinalMLP",
    "FinalNet": "fuxi_plugins.models.finalnet:FinalNet",
    "FmFM": "fuxi_plugins.models.fmfm:FmFM",
    "FwFM": "fuxi_plugins.models.fwfm:FwFM",
    "GDCN": "fuxi_plugins.models.gdcn:GDCN",
    "HFM": "fuxi_plugins.models.hfm:HFM",
    "HOFM": "fuxi_plugins.models.hofm:HOFM",
    "HSTU": "fuxi_plugins.models.hstu:HSTU",
    "HiFormer": "fuxi_plugins.models.hiformer:HiFormer",
    "InterFormer": "fuxi_plugins.models.interformer:InterFormer",
    "HyFormer": "fuxi_plugins.models.hyformer:HyFormer",
    "InterHAt": "fuxi_plugins.models.interhat:InterHAt",
    "LR": "fuxi_plugins.models.lr:LR",
    "LorentzFM": "fuxi_plugins.models.lorentzfm:LorentzFM",
    "MLPMixer": "fuxi_plugins.models.mlpmixer:MLPMixer",
    "MaskNet": "fuxi_plugins.models.masknet:MaskNet",
    "NFM": "fuxi_plugins.models.nfm:NFM",
    "ONN": "fuxi_plugins.models.onn:ONN",
    "OneTrans": "fuxi_plugins.models.onetrans:OneTrans",
    "PNN": "fuxi_plugins.models.pnn:PNN",
    "PPNet": "fuxi_plugins.models.ppnet:PPNet",
    "Poly2": "fuxi_plugins.models.poly2:Poly2",
    "RankElastor": "fuxi_plugins.models.rankelastor:RankElastor",
    "RankMixer": "fuxi_plugins.models.rankmixer:RankMixer",
    "RankUp": "fuxi_plugins.models.rankup:RankUp",
    "SAM": "fuxi_plugins.models.sam:SAM",
    "SDIM": "fuxi_plugins.models.sdim:SDIM",
    "SIM": "fuxi_plugins.models.sim:SIM",
    "TokenMixerLarge": "fuxi_plugins.models.tokenmixer_large:TokenMixerLarge",
    "TransAct": "fuxi_plugins.models.transact:TransAct",
    "UniMixer": "fuxi_plugins.models.unimixer:UniMixer",
    "WideDeep": "fuxi_plugins.models.widedeep:WideDeep",
    "Wukong": "fuxi_plugins.models.wukong:Wukong",
    "xDeepFM": "fuxi_plugins.models.xdeepfm:xDeepFM",
}

TREE_MODELS = {  # which libraries of their own train; no classes of FuxiCTR's
    "CatBoost": "fuxi_plugins.models.trees.catboost:CatBoost",
    "LightGBM": "fuxi_plugins.models.trees.lightgbm:LightGBM",
    "XGBoost": "fuxi_plugins.models.trees.xgboost:XGBoost",
}

_registered: dict[str, str] = {}


@dataclass(frozen=True)
class Sources:
    """Where models come from beside the installed packages; a run's process is told of it."""

    zoo: str | None = None  # a FuxiCTR checkout
    files: tuple[str, ...] = ()  # Python files with a model class


INSTALLED_ONLY = Sources()
_sources = INSTALLED_ONLY


@dataclass(frozen=True)
class _Entry:
    target: str  # "module:Class"
    origin: str  # who brings it, in words
    plugin: bool = False
    file: Path | None = None  # of a model that lies in a file of its own; the target is then its class


def use_sources(sources: Sources) -> None:
    """From here on, models of these places are known too.

    Raises:
        UserError: a file without a model, or whose model's name is taken.
    """
    global _sources
    for path in sources.files:
        models_of(Path(path))  # a file without any is an error at once
    _sources = sources
    _entries()  # two models of one name are an error at once


def sources() -> Sources:
    return _sources


@dataclass(frozen=True)
class OwnSource:
    """Where a model lies that is neither native nor installed."""

    file: Path
    root: Path  # the folder that its imports start from
    checkout: Path | None = None


def model_source(name: str) -> OwnSource | None:
    """Of a model of a checkout or of a file of its own; None for others."""
    if name.startswith(checkouts.PREFIX):
        model = _zoo_model(name)  # an error where no checkout is named
        return OwnSource(model.file, model.folder, Path(_sources.zoo) if _sources.zoo else None)
    file = _find(name).file
    return OwnSource(file.resolve(), model_classes.import_root(file)) if file else None


def model_module(name: str) -> str:
    """The module that holds the class of a native model or of an installed package's."""
    return _split(_find(name).target)[0]


def is_native(name: str) -> bool:
    """Whether the model is of this package, whose tests it passes."""
    return name in NATIVE_MODELS or name in TREE_MODELS


def is_tree_model(name: str) -> bool:
    return name in TREE_MODELS


def model_names() -> list[str]:
    """All known names, tree models and those of a named checkout among them, sorted without regard to case."""
    of_checkout = checkouts.discover(Path(_sources.zoo)).models if _sources.zoo else ()
    return sorted([*_entries(), *(f"{checkouts.PREFIX}{name}" for name in of_checkout)], key=str.casefold)


def model_summary(name: str) -> str:
    """One line about a model: the first of its docstring, or for an installed plugin the package that brings
    it.

    The docstring is read from the source without running it, so that listing models stays quick.
    """
    if name.startswith(checkouts.PREFIX):
        return f"from {_zoo_model(name).file}"
    entry = _find(name)
    if entry.file:
        return f"from {entry.file.name}"
    if entry.plugin:
        return f"from {entry.origin}"
    return _docstring(_file_of(entry.target), _split(entry.target)[1]).partition("\n")[0]


def class_source(name: str) -> tuple[str, Path] | None:
    """The docstring of a model's class, read without running it, and the file that holds the class.

    None for the class of an installed package and for that of a FuxiCTR checkout.
    """
    if name.startswith(checkouts.PREFIX):
        return None
    entry = _find(name)
    if entry.file:
        return _docstring(entry.file, entry.target), entry.file
    if not is_native(name):
        return None
    file = _file_of(entry.target)
    return _docstring(file, _split(entry.target)[1]), file


def load_model_class(name: str) -> type:
    """The class of that name; loads torch and FuxiCTR, unless it is a tree model's."""
    if name.startswith(checkouts.PREFIX):
        return checkouts.load_zoo_class(_zoo_model(name))
    entry = _find(name)
    if entry.file:
        return model_classes.load_own_class(entry.file, entry.target)
    module_name, class_name = _split(entry.target)
    try:
        model_class = getattr(importlib.import_module(module_name), class_name)
    except (ImportError, AttributeError) as error:
        raise UserError(f"the model {name!r} from {entry.origin} cannot be loaded: {error}") from error
    if is_tree_model(name):
        return model_class

    from fuxictr.pytorch.models import BaseModel

    if not (isinstance(model_class, type) and issubclass(model_class, BaseModel)):
        raise UserError(
            f"the model {name!r} from {entry.origin} must be a subclass of fuxictr.pytorch.models.BaseModel, "
            f"but {entry.target} is {model_class!r}"
        )
    return model_class


def load_tree_class(name: str) -> "type[TreeModel]":
    """The class of a tree model."""
    return cast("type[TreeModel]", load_model_class(name))


def register(name: str, target: str) -> None:
    """Makes a model known to this process; ``target`` is ``"module:Class"``, and no name is taken twice."""
    _split(target)
    taken = _entries().get(name)
    if taken is not None:
        raise UserError(
            f"a model name must be unique, but {name!r} is to be {target} and is already {taken.target} "
            f"from {taken.origin}"
        )
    _registered[name] = target


def _find(name: str) -> _Entry:
    entries = _entries()
    if name not in entries:
        raise unknown_name("model", name, entries, listing="fuxibench list models")
    return entries[name]


@cache
def _entry_points(path: tuple[str, ...]) -> tuple[metadata.EntryPoint, ...]:
    """What the packages on Python's path offer; looking through them takes long, so it is done once a path."""
    return tuple(metadata.entry_points(group=ENTRY_POINT_GROUP))


def _entries() -> dict[str, _Entry]:
    """Every known name; two packages that claim one name are an error, whatever was asked for."""
    entries = {name: _Entry(target, "fuxi_plugins") for name, target in {**NATIVE_MODELS, **TREE_MODELS}.items()}
    entries |= {name: _Entry(target, "this process") for name, target in _registered.items()}
    for point in _entry_points(tuple(sys.path)):
        entry = _Entry(point.value, _package(point), plugin=True)
        taken = entries.get(point.name)
        if taken is not None and taken != entry:
            raise UserError(
                f"a model name must be unique, but {point.name!r} comes from both {taken.origin} and "
                f"{entry.origin}; uninstall one of them"
            )
        entries[point.name] = entry
    for path in _sources.files:
        for name in models_of(Path(path)):
            if name in entries:
                raise UserError(f"a model name must be unique, but {name!r} of {path} is also {entries[name].origin}'s")
            entries[name] = _Entry(name, path, file=Path(path))
    return entries


def _zoo_model(name: str) -> checkouts.ZooModel:
    return checkouts.find_zoo_model(Path(_sources.zoo) if _sources.zoo else None, name)


def _package(point: metadata.EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else "an unnamed package"


def _split(target: str) -> tuple[str, str]:
    module_name, colon, class_name = target.partition(":")
    if not (module_name and colon and class_name):
        raise UserError(f"a model is written as 'module:Class', but this one is {target!r}")
    return module_name, class_name


def _file_of(target: str) -> Path:
    module_name, _ = _split(target)
    spec = importlib.util.find_spec(module_name)
    if spec is None or not spec.origin:
        raise UserError(f"the module {module_name!r} cannot be found")
    return Path(spec.origin)


def _docstring(file: Path, class_name: str) -> str:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == class_name:
            return ast.get_docstring(node) or ""
    raise UserError(f"the file {file} has no class {class_name!r}")
