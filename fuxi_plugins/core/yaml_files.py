"""YAML read the way its writers mean it: safe, no duplicate keys, and ``1e-3`` is a number; and written so."""

import copy
import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from fuxi_plugins.core.errors import UserError


class StrictLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # libyaml's parser where PyYAML was built with it
    """SafeLoader with YAML 1.2's floats and FuxiCTR's tuples; keys that are no text or stand twice are refused."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise yaml.constructor.ConstructorError(
                    None, None, f"a key must be text, but {key!r} is none", key_node.start_mark
                )
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


# YAML 1.1, which PyYAML follows, wants a dot and a signed exponent: `1e-3` would be text.
StrictLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+$"), list("-+0123456789")
)
StrictLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9]*\.[0-9]+[eE][0-9]+$"), list("-+.0123456789")
)
StrictLoader.add_constructor(
    "tag:yaml.org,2002:python/tuple", lambda loader, node: tuple(loader.construct_sequence(node))
)


def load_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file; an empty file is an empty mapping.

    Raises:
        UserError: no such file, not YAML, or not a mapping at its top.
    """
    try:
        content = copy.deepcopy(_parsed(path.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise UserError(f"the config file {path} does not exist.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not valid YAML: {_one_line(error)}.") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise UserError(f"{path} must hold a mapping of names to settings, but holds a {type(content).__name__}.")
    return content


def yaml_text(content: dict[str, Any]) -> str:
    """A mapping in the form of the benchmark's configs: keys in their order, short values in one line."""
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, indent=4, default_flow_style=None, width=120)


class _Dumper(yaml.SafeDumper):
    """YAML without anchors: a list that stands twice is written twice."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


@cache
def _parsed(text: str) -> Any:
    """A file is read many times, for every suite and every template; parsing is what takes long."""
    return yaml.load(text, Loader=StrictLoader)


def _one_line(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None)
    return f"line {mark.line + 1}: {problem}" if mark and problem else " ".join(str(error).split())
