"""Which classes of a Python file are models, read from its syntax, and how such a class is loaded.

A file is executed when a class of it is loaded, under a private package name, so that files of one name do not mix.
"""

import ast
import importlib
import sys
import traceback
import types
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import ClassVar

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.files import digest
from fuxi_plugins.core.source import imported_by_name, imported_file, parsed, reached_files
from fuxi_plugins.core.tracebacks import own_line

FUXICTR = "fuxictr.pytorch.models"  # the package whose classes every model derives from
BY_MODULE = ("BaseModel", "MultiTaskModel")  # those that a file may reach as models.BaseModel
PACKAGE = Path(__file__).resolve().parents[1]


def model_classes(file: Path, root: Path) -> dict[str, str]:
    """The model classes that a file defines, each with the class of FuxiCTR that it derives from.

    Args:
        root: the folder that the imports of the file start from.

    Raises:
        UserError: a file that cannot be read as Python.
    """
    file = file.resolve()
    names = [node.name for node in parsed(file).body if isinstance(node, ast.ClassDef)]
    found = {name: _base_of(name, file, root.resolve(), frozenset()) for name in names}
    return {name: base for name, base in found.items() if base}


def _base_of(name: str, file: Path, root: Path, asked: frozenset[tuple[str, Path]]) -> str | None:
    """The class of FuxiCTR that a name in a file is or derives from, as ``BaseModel`` for ``models.BaseModel``.

    Args:
        asked: what this question comes from, for imports and bases may run in circles.
    """
    if (name, file) in asked:
        return None
    asked |= {(name, file)}
    for node in parsed(file).body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            bases = (_base_of(ast.unparse(base), file, root, asked) for base in node.bases)
            return next(filter(None, bases), None)
        if isinstance(node, ast.ImportFrom) and (alias := _alias_of(name, node)):
            if (node.module or "").startswith(FUXICTR):
                return alias.name
            for folder in (root, PACKAGE.parent):  # a neighbour, or a model of this package
                found = imported_file(node, file, folder)
                if found and (folder == root or found.is_relative_to(PACKAGE / "models")):
                    return _base_of(alias.name, found, folder, asked)
    module, _, last = name.rpartition(".")
    return last if module and last in BY_MODULE else None


def _alias_of(name: str, node: ast.ImportFrom) -> ast.alias | None:
    """What an import takes under that name."""
    return next((alias for alias in node.names if (alias.asname or alias.name) == name), None)


def import_root(file: Path) -> Path:
    """The folder that the imports of a model file start from: the first one above it that is no package."""
    return next(folder for folder in file.resolve().parents if not (folder / "__init__.py").is_file())


def load_class(file: Path, class_name: str, root: Path) -> type:
    """A class of a file below ``root``, which becomes a package of a private name.

    Raises:
        UserError: the file cannot be executed, or has no such class when it is.
    """
    package = f"_fuxibench_{digest(str(root.resolve()))[:16]}"
    if package not in sys.modules:
        module = types.ModuleType(package)
        module.__path__ = [str(root)]
        sys.modules[package] = module
    try:
        return getattr(importlib.import_module(f"{package}.{_dotted(file, root)}"), class_name)
    except (Exception, SystemExit) as error:  # whatever the file's own code raises; it is another's
        place = own_line("".join(traceback.format_exception(error)), root)
        said = f"{file} cannot be loaded: {type(error).__name__}: {error}"
        raise UserError(f"{said} (at {place})" if place else said) from error


def load_own_class(file: Path, class_name: str) -> type:
    """A class of a model file, which may import its neighbours by ``from parts import`` and ``from .parts import``.

    Raises:
        UserError: as :func:`load_class`, or what it imports as its neighbour is the neighbour of another model file.
    """
    root = import_root(file)
    _Neighbours.of(root)
    model_class = load_class(file, class_name, root)
    for name in {name.partition(".")[0] for own in reached_files(file, root) for name in imported_by_name(own)}:
        if _Neighbours.found.get(name, str(root)) != str(root):
            raise UserError(
                f"{file} imports {name}, which must lie beside it, but another model file has imported its own from "
                f"{_Neighbours.found[name]}. Write 'from .{name} import', or rename one of the two."
            )
    return model_class


class _Neighbours(MetaPathFinder):
    """Finds the neighbours of model files. It is asked last, so they hide nothing that is installed."""

    roots: ClassVar[list[str]] = []
    found: ClassVar[dict[str, str]] = {}  # the root of each module that was found in one

    @classmethod
    def of(cls, root: Path) -> None:
        """From here on, those in this folder too, and before those in others."""
        if not cls.roots:
            sys.meta_path.append(cls())
        cls.roots = [str(root), *(other for other in cls.roots if other != str(root))]

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> ModuleSpec | None:
        for root in self.roots if path is None else ():
            if spec := PathFinder.find_spec(fullname, [root]):
                self.found[fullname] = root
                return spec
        return None


def _dotted(file: Path, root: Path) -> str:
    """The name of a file's module, as imports that start from ``root`` write it."""
    return ".".join(file.resolve().relative_to(root.resolve()).with_suffix("").parts).removesuffix(".__init__")
