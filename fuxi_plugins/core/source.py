"""The content of source files, without what changes no number: comments, docstrings and blank lines."""

import ast
import io
import tokenize
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.files import digest


def reached_files(start: Path, root: Path, within: tuple[str, ...] = ("",)) -> list[Path]:
    """The file and every Python file below ``root`` that it imports, directly or through others.

    Imports are read from the syntax, not executed: a module that is loaded by its computed name is not seen.

    Args:
        start: a Python file below ``root``.
        root: the folder that a top-level import starts from.
        within: folders below ``root``, such as ``"models"``; files elsewhere are left out.

    Raises:
        UserError: a file that cannot be read as Python.
    """
    root = root.resolve()
    found: set[Path] = set()
    waiting = [start.resolve()]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found.add(path)
        folders = [root / folder for folder in within]
        imported = _imports(path, root, path.stat().st_mtime_ns)
        waiting += [other for other in imported if any(other.is_relative_to(f) for f in folders)]
    return sorted(found)


def source_digest(files: Iterable[Path], root: Path) -> str:
    """sha256 of what the files compute; equal for files that differ in comments, docstrings and blank lines alone."""
    root = root.resolve()
    return digest([[path.resolve().relative_to(root).as_posix(), _content(path)] for path in sorted(files)])


@cache
def _imports(path: Path, root: Path, changed: int) -> tuple[Path, ...]:
    """The files that importing a file executes; asked for again and again, so kept until the file changes."""
    return tuple(_find_imports(path, root))


def _find_imports(path: Path, root: Path) -> Iterator[Path]:
    for folder in path.parents:
        if folder == root or not folder.is_relative_to(root):
            break
        if (folder / "__init__.py").is_file():  # which importing the file executes first
            yield folder / "__init__.py"
    for node in _statements(parsed(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _module_files(root, alias.name.split("."))
        elif isinstance(node, ast.ImportFrom):
            folder, parts = _place_of(node, path, root)
            for alias in node.names:
                yield from _module_files(folder, [*parts, alias.name])


def imported_file(node: ast.ImportFrom, path: Path, root: Path) -> Path | None:
    """The file that holds what ``from ... import`` takes, if it lies where the import leads.

    Args:
        path: the file with the import.
        root: as of :func:`reached_files`.
    """
    folder, parts = _place_of(node, path, root)
    files = list(_module_files(folder, parts)) if parts else []
    return files[-1] if files else None


def imported_by_name(path: Path) -> set[str]:
    """The modules that a file imports by their whole names, ``a.b`` and not ``.b``."""
    found: set[str] = set()
    for node in _statements(parsed(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module)
    return found


def _place_of(node: ast.ImportFrom, path: Path, root: Path) -> tuple[Path, list[str]]:
    """The folder that an import in a file starts from, and the names that follow."""
    return path.parents[node.level - 1] if node.level else root, node.module.split(".") if node.module else []


def _module_files(folder: Path, parts: list[str]) -> Iterator[Path]:
    """The files that importing ``a.b.c`` executes: of the packages on the way, and the last one that is a module."""
    for depth in range(len(parts) + 1):
        place = folder.joinpath(*parts[:depth])
        for path in (place / "__init__.py", place.with_suffix(".py")):
            if path.is_file() and (depth or path.name == "__init__.py"):
                yield path.resolve()


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """The statements within a node at any depth, without their expressions, of which there are many more."""
    for part in ("body", "orelse", "finalbody", "handlers", "cases"):
        for child in getattr(node, part, ()):
            yield child
            yield from _statements(child)


def parsed(path: Path) -> ast.Module:
    """The syntax tree of a file; kept until the file changes.

    Raises:
        UserError: it cannot be read as Python.
    """
    try:
        return _parsed(path, path.stat().st_mtime_ns)
    except OSError as error:
        raise UserError(f"{path} cannot be read as Python: {error}") from error


@cache
def _parsed(path: Path, changed: int) -> ast.Module:
    try:
        return ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, UnicodeDecodeError, ValueError) as error:
        raise UserError(f"{path} cannot be read as Python: {error}") from error


@cache
def _content_of(path: Path, changed: int) -> str:
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    for first, last in _docstrings(parsed(path)):
        for number in range(first, last + 1):
            lines[number - 1] = ""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    return "\n".join(line.rstrip() for line in lines if line.strip())


def _content(path: Path) -> str:
    return _content_of(path, path.stat().st_mtime_ns)


def _docstrings(tree: ast.Module) -> Iterator[tuple[int, int]]:
    """First and last line of each docstring."""
    for node in (tree, *_statements(tree)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.body:
            first = node.body[0]
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                yield first.lineno, first.end_lineno or first.lineno
