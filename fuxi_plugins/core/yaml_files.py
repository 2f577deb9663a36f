"""YAML read the way its writers mean it: safe, no duplicate keys, and ``1e-3`` is a number; and written so."""

import codecs
import copy
import math
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import yaml

try:
    from yaml import CSafeLoader as SafeLoader  # libyaml's parser, where PyYAML was built with it
except ImportError:
    from yaml import SafeLoader

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.explain import shortened

MOST_BYTES = 1 << 20  # of a file, also when each of its aliases is replaced by what it stands for
MOST_DEPTH = 50  # of lists and mappings in each other
MOST_DIGITS = 100


class StrictLoader(SafeLoader):
    """SafeLoader with YAML 1.2's floats and FuxiCTR's tuples; keys that are no text or stand twice are refused.

    So is a value that does not fit its tag, a number that is not finite and a whole number beyond 64 bits.
    """

    repeated: list[str] | None = None  # keys that stand twice; where there is a list, they are noted and not refused

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        if node.tag.endswith((":int", ":float")) and len(node.value) > MOST_DIGITS:
            raise _refused(f"a number must have at most {MOST_DIGITS} characters, but there is {_seen(node)}", node)
        try:
            value = super().construct_object(node, deep)
        except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError) as error:  # all are PyYAML's
            raise _refused(f"{_seen(node)} is no {node.tag.rpartition(':')[2]}", node) from error
        if isinstance(value, int) and not -(2**63) <= value < 2**64:
            raise _refused("a whole number must fit 64 bits", node)
        if isinstance(value, float) and not math.isfinite(value):
            raise _refused(f"a number must be finite, but {_seen(node)} is not", node)
        return value

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise _refused(f"a key must be text, but {shortened(repr(key))} is none", key_node)
            if key in seen:
                if self.repeated is None:
                    raise _refused(f"the key {shortened(repr(key))} stands twice", key_node)
                self.repeated.append(f"line {key_node.start_mark.line + 1}: {shortened(repr(key))}")
            seen.add(key)
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):
    """YAML without anchors: a list that stands twice is written twice."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


# YAML 1.1, which PyYAML follows, wants a dot and a signed exponent: `1e-3` would be text. The writer must know that,
# else the name 1e5 would be written without quotes and read as a number.
for one in (StrictLoader, _Dumper):
    one.add_implicit_resolver(
        "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+$"), list("-+0123456789")
    )
    one.add_implicit_resolver(
        "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9]*\.[0-9]+[eE][0-9]+$"), list("-+.0123456789")
    )
StrictLoader.add_constructor(
    "tag:yaml.org,2002:python/tuple", lambda loader, node: tuple(loader.construct_sequence(node))
)


def load_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file; an empty file is an empty mapping.

    Raises:
        UserError: no such file, not YAML, too large or too deep, or not a mapping at its top.
    """
    return copy.deepcopy(_mapping(path, _parsed))


def load_published_yaml(path: Path) -> tuple[dict[str, Any], list[str]]:
    """The mapping in a YAML file as PyYAML's own loaders read it, and the keys that stand twice in it.

    Of such a key the last value counts. All else is as strict as in :func:`load_yaml`.

    Raises:
        UserError: as :func:`load_yaml`.
    """
    repeated: list[str] = []
    content = _mapping(path, lambda text: parse_yaml(text, repeated))
    return content, repeated


def _mapping(path: Path, parse: Callable[[str], Any]) -> dict[str, Any]:
    try:
        if (size := path.stat().st_size) > MOST_BYTES:
            raise UserError(f"{path} must have at most {MOST_BYTES:,} bytes to be read as YAML, but has {size:,}.")
        content = parse(_decoded(path.read_bytes()))
    except FileNotFoundError as error:
        raise UserError(f"the config file {path} does not exist.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not valid YAML: {_one_line(error)}.") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise UserError(f"{path} must hold a mapping of names to settings, but holds a {type(content).__name__}.")
    return content


def _decoded(content: bytes) -> str:
    """UTF-8, or UTF-16 where the file begins with its mark, as YAML's specification says."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16")
    return content.decode("utf-8-sig")


def yaml_text(content: dict[str, Any]) -> str:
    """A mapping in the form of the benchmark's configs: keys in their order, short values in one line."""
    return yaml.dump(
        content, Dumper=_Dumper, sort_keys=False, indent=4, default_flow_style=None, width=120, allow_unicode=True
    )


@cache
def _parsed(text: str) -> Any:
    """A file is read many times, for every suite and every template; parsing is what takes long."""
    return parse_yaml(text)


def parse_yaml(text: str, repeated: list[str] | None = None) -> Any:
    """The value of a YAML text of at most :data:`MOST_BYTES`; the work that it takes is bounded, whatever it holds.

    Args:
        repeated: where keys that stand twice are noted, if that shall be no error.

    Raises:
        yaml.YAMLError: the text is not YAML, or what it stands for is too large or too deep.
    """
    _require_bounded(text)
    return yaml.load(text, Loader=type("Loader", (StrictLoader,), {"repeated": repeated}))


def _require_bounded(text: str) -> None:
    """Goes through the parser's events, which takes no more than reading, before anything is built of them.

    A file of a few lines can stand for gigabytes, as each line may repeat the one before it by aliases. The size of a
    node is that of its text and one for itself, an alias has the size of what it stands for.
    """
    sizes: dict[str, int] = {}  # of what has an anchor
    open_nodes: list[tuple[str | None, int]] = []  # anchor, and the total where it began
    total = 0
    for event in yaml.parse(text, Loader=StrictLoader):
        if isinstance(event, yaml.CollectionEndEvent):
            anchor, start = open_nodes.pop()
            if anchor:
                sizes[anchor] = total - start
        elif isinstance(event, yaml.CollectionStartEvent):
            open_nodes.append((event.anchor, total))
            total += 1
        elif isinstance(event, yaml.AliasEvent):
            if any(anchor == event.anchor for anchor, _ in open_nodes):
                raise _refused(f"the anchor {event.anchor!r} must not hold itself", event)
            total += sizes.get(event.anchor, 0)  # the loader refuses an unknown one
        elif isinstance(event, yaml.ScalarEvent):
            total += 1 + len(event.value)
            if event.anchor:
                sizes[event.anchor] = 1 + len(event.value)
        if len(open_nodes) > MOST_DEPTH:
            raise _refused(f"lists and mappings must not lie deeper than {MOST_DEPTH} in each other", event)
        if total > MOST_BYTES:
            raise _refused(f"it must stand for at most {MOST_BYTES:,} bytes with all aliases written out", event)


def _seen(node: yaml.Node) -> str:
    return shortened(repr(node.value))


def _refused(problem: str, place: yaml.Node | yaml.Event) -> yaml.constructor.ConstructorError:
    return yaml.constructor.ConstructorError(None, None, problem, place.start_mark)


def _one_line(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None)
    return f"line {mark.line + 1}: {problem}" if mark and problem else " ".join(str(error).split())
