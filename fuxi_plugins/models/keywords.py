"""What a model's constructor takes: its parameters, those of the bases that it hands the rest to, and what it reads out
of its ``**kwargs``.
"""

import ast
import inspect
from collections.abc import Callable, Iterator
from types import FunctionType
from typing import Any

REQUIRED = ...  # the default of a setting that must be said, as pydantic writes it
PACKAGE = __name__.partition(".")[0]


def parameters_of(model_class: type) -> dict[str, inspect.Parameter]:
    """The parameters that a model class is constructed by, those of ``*args`` and ``**kwargs`` left out.

    A class of somebody else's that derives from another model and calls ``super().__init__(feature_map, **kwargs)``
    has its base's parameters too, but for those that the call gives a value.
    """
    found: dict[str, inspect.Parameter] = {}
    fixed: set[str] = set()
    for owner in model_class.__mro__:
        package = owner.__module__.partition(".")[0]
        constructor = vars(owner).get("__init__")
        if package == "fuxictr":  # what its base classes take is the harness's to say
            break
        if not inspect.isfunction(constructor):
            continue
        own = [_annotated(one, constructor) for one in list(inspect.signature(constructor).parameters.values())[1:]]
        named = [one for one in own if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)]
        found |= {one.name: one for one in named if one.name not in {*found, *fixed}}
        given = _given_to_super(constructor) if package != PACKAGE else None
        if given is None:
            break
        fixed |= {*given, *(one.name for one in named)}
    return found


def _annotated(parameter: inspect.Parameter, constructor: FunctionType) -> inspect.Parameter:
    """The parameter with its annotation evaluated; without, if it names what is imported for type checkers alone."""
    if not isinstance(parameter.annotation, str):
        return parameter
    alone = type("Alone", (), {"__annotations__": {parameter.name: parameter.annotation}})
    try:
        found = inspect.get_annotations(alone, globals=constructor.__globals__, eval_str=True)
    except (NameError, AttributeError):
        return parameter.replace(annotation=parameter.empty)
    return parameter.replace(annotation=found[parameter.name])


def _given_to_super(constructor: FunctionType) -> set[str] | None:
    """What a constructor says by name in ``super().__init__(..., **kwargs)``; None where it hands no rest on."""
    if not takes_keywords(constructor):
        return None
    tree = _tree(constructor)
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        text = ast.unparse(call.func)
        if text.startswith("super(") and text.endswith(").__init__") and None in (k.arg for k in call.keywords):
            return {keyword.arg for keyword in call.keywords if keyword.arg}
    return None


def keywords_read(model_class: type) -> dict[str, Any]:
    """Every key that the constructors of the class and its bases read from their ``**kwargs``, with its default.

    They are found in the syntax tree: ``kwargs["x"]``, ``kwargs.get("x", 3)`` and ``kwargs.pop("x", 3)``. A default
    that is computed cannot be read; such a key is :data:`REQUIRED`, as one without a default is. FuxiCTR's own base
    classes are left out.
    """
    found: dict[str, Any] = {}
    for owner in reversed(model_class.__mro__):
        constructor = vars(owner).get("__init__")
        if not inspect.isfunction(constructor) or not takes_keywords(constructor):
            continue
        if owner.__module__.partition(".")[0] != "fuxictr":
            tree = _tree(constructor)
            found |= dict(_read_in(tree)) if isinstance(tree, ast.FunctionDef) else {}
    return found


def _tree(constructor: FunctionType) -> ast.stmt:
    """The syntax tree of a function; a text in triple quotes may begin before the function does."""
    source = inspect.getsource(constructor)
    inside = source[:1].isspace()
    (statement,) = ast.parse(f"class _:\n{source}" if inside else source).body
    return statement.body[0] if inside and isinstance(statement, ast.ClassDef) else statement


def takes_keywords(constructor: Callable) -> bool:
    """Whether a constructor has a ``**kwargs``."""
    return any(one.kind is one.VAR_KEYWORD for one in inspect.signature(constructor).parameters.values())


def _read_in(constructor: ast.FunctionDef) -> Iterator[tuple[str, Any]]:
    rest = constructor.args.kwarg.arg if constructor.args.kwarg else None
    for node in ast.walk(constructor):
        match node:
            case ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=str(key)), ctx=ast.Load()) if (
                name == rest
            ):
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
