"""The model zoo of a FuxiCTR checkout: ``zoo:DeepFM``, ``zoo:multitask/MMoE``.

What is there is read from the syntax trees; nothing is executed until a model is loaded, and then only the files of its
own folder, under a private package name, so that neither the checkout nor its many folders called ``src`` shadow
anything. Code is executed from no other path than the one that the user has named.
"""

import ast
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from fuxi_plugins.core.errors import UserError, unknown_name
from fuxi_plugins.core.source import parsed
from fuxi_plugins.models.model_classes import load_class, model_classes

PREFIX = "zoo:"
Kind = Literal["single", "multitask", "long"]


@dataclass(frozen=True)
class ZooModel:
    """A class that the checkout has: ``name`` as after ``zoo:``, and the file that defines it."""

    name: str
    class_name: str
    file: Path
    kind: Kind

    @property
    def folder(self) -> Path:
        return self.file.parent


@dataclass(frozen=True)
class Zoo:
    models: dict[str, ZooModel]
    unreadable: dict[Path, str]  # files that are no Python, or whose neighbours are none, with the reason
    other: list[Path]  # folders of models for another framework


@cache
def discover(root: Path) -> Zoo:
    """Every model of a checkout, by name; ``root`` is the checkout or its folder ``model_zoo``.

    Raises:
        UserError: there is no such folder.
    """
    folder = root / "model_zoo" if (root / "model_zoo").is_dir() else root
    if not folder.is_dir():
        raise UserError(f"--zoo names a checkout of FuxiCTR, but {root} is no folder.")
    models: dict[str, ZooModel] = {}
    unreadable: dict[Path, str] = {}
    other: list[Path] = []
    for path in sorted(folder.rglob("*.py")):
        try:
            tree, classes = parsed(path), model_classes(path, path.parent)
        except UserError as error:
            unreadable[path] = str(error)
            continue
        if any(name.startswith(("fuxictr.tensorflow", "tensorflow")) for name in _imported(tree)):
            other.append(path)
        group = _group(path.relative_to(folder))
        for class_name, base in classes.items():
            kind: Kind = "long" if group == "LongCTR" else "multitask" if base == "MultiTaskModel" else "single"
            name = f"{group}/{class_name}" if group else class_name
            models[name] = ZooModel(name, class_name, path, kind)
    return Zoo(models, unreadable, other)


def find_zoo_model(root: Path | None, name: str) -> ZooModel:
    """The model called ``zoo:NAME``.

    Raises:
        UserError: no checkout was named, or it has no such model.
    """
    if root is None:
        raise UserError(f"{name} is a model of a FuxiCTR checkout; name one: fuxibench --zoo PATH run ...")
    models = discover(root).models
    wanted = name.removeprefix(PREFIX)
    if wanted not in models:
        raise unknown_name("zoo model", wanted, models, f"fuxibench zoo {root}")
    return models[wanted]


def load_zoo_class(model: ZooModel) -> type:
    """Executes the model's file and returns its class, which then says what it needs.

    Raises:
        UserError: the file cannot be executed, or has no such class when it is.
    """
    from fuxi_plugins.models.item_tables import reading_rows
    from fuxi_plugins.models.needs import Needs

    model_class: Any = load_class(model.file, model.class_name, model.folder)
    if model.kind == "long":
        model_class = reading_rows(model_class)
    parameters = inspect.signature(model_class).parameters
    names_history = any(name.endswith(("sequence_field", "sequence_item_field")) for name in parameters)
    model_class.needs = Needs(
        history=names_history or model.kind == "long",
        labels=2 if model.kind == "multitask" else 1,
        sources=_sources_read(ast.parse(model.file.read_text(encoding="utf-8"))),
    )
    return model_class


def _group(relative: Path) -> str:
    """``multitask`` and ``LongCTR`` hold folders of models; ``DeepFM/DeepFM_torch/src`` is one model's."""
    parts = relative.parts
    one_models_own = len(parts) < 3 or parts[1] == "src" or parts[1].endswith(("_torch", "_tf"))
    return "" if one_models_own else parts[0]


def _sources_read(tree: ast.Module) -> tuple[str, ...]:
    """The sources of features that the code asks for by name, as ``feature_source="user"``."""
    arguments = [keyword for node in ast.walk(tree) if isinstance(node, ast.Call) for keyword in node.keywords]
    asked = [keyword.value for keyword in arguments if keyword.arg == "feature_source"]
    values = [value.value for value in asked if isinstance(value, ast.Constant)]
    return tuple(sorted({value for value in values if isinstance(value, str) and value}))


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            yield node.module or ""
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
