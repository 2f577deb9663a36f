"""Settings that a model's constructor takes out of ``**kwargs``, which its signature does not show."""

import ast
import inspect
import textwrap
from collections.abc import Iterator
from types import FunctionType
from typing import Any

REQUIRED = ...  # the default of a setting that must be said, as pydantic writes it


def keywords_read(model_class: type) -> dict[str, Any]:
    """Every key that the constructors of the class and its bases read from their ``**kwargs``, with its default.

    They are found in the syntax tree: ``kwargs["x"]``, ``kwargs.get("x", 3)`` and ``kwargs.pop("x", 3)``. A default
    that is computed cannot be read; such a key is :data:`REQUIRED`, as one without a default is. FuxiCTR's own base
    classes are left out.
    """
    found: dict[str, Any] = {}
    for owner in reversed(model_class.__mro__):
        constructor = vars(owner).get("__init__")
        if not inspect.isfunction(constructor) or not _takes_keywords(constructor):
            continue
        if owner.__module__.partition(".")[0] != "fuxictr":
            tree = ast.parse(textwrap.dedent(inspect.getsource(constructor))).body[0]
            found |= dict(_read_in(tree)) if isinstance(tree, ast.FunctionDef) else {}
    return found


def _takes_keywords(constructor: FunctionType) -> bool:
    return bool(constructor.__code__.co_flags & inspect.CO_VARKEYWORDS)


def _read_in(constructor: ast.FunctionDef) -> Iterator[tuple[str, Any]]:
    rest = constructor.args.kwarg.arg if constructor.args.kwarg else None
    for node in ast.walk(constructor):
        match node:
            case ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=str(key))) if name == rest:
                yield key, REQUIRED
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id=name), attr="get" | "pop" as method),
                args=[ast.Constant(value=str(key)), *default],
            ) if name == rest:
                yield key, _value(default[0]) if default else None if method == "get" else REQUIRED


def _value(default: ast.expr) -> Any:
    try:
        return ast.literal_eval(default)
    except ValueError:
        return REQUIRED
