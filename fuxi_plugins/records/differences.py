"""Says in what two runs of one experiment differ, and refuses to average such runs."""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.records.parts import Code
from fuxi_plugins.records.record import Record


def differences(one: Record, other: Record) -> list[str]:
    """In what two runs of different digests differ, as ``learning_rate 0.001 and 0.01``."""
    found = [] if one.model == other.model else [f"model {one.model} and {other.model}"]
    for part in sorted({*one.params, *other.params}):
        ours, theirs = one.params.get(part, {}), other.params.get(part, {})
        for name in sorted({*ours, *theirs}):
            here, there = (str(values[name]) if name in values else "not set" for values in (ours, theirs))
            if here != there:
                found.append(f"{name} {here} and {there}")
    for part, here, there in changed_code(one.code, other.code):
        found.append(f"code of the {part} {short_code(here)} and {short_code(there)}")
    return found


def changed_code(then: Code, now: Code) -> list[tuple[str, str, str]]:
    """The parts of the code that differ, ``model`` or ``training``, each with its name then and now."""
    return [(part, was, is_now) for (part, was), (_, is_now) in zip(then, now, strict=True) if was != is_now]


def changed_since(settings: Mapping[str, Any], record: Record) -> list[str]:
    """What a config says now and a run did not have, as ``epochs 1, now 100``; without importing the model.

    A setting that the config no longer has is not seen, for its default is the model's to say. ``fuxibench run``
    compares all settings and the code.
    """
    had = {name: value for part in record.params.values() for name, value in part.items()}
    return [
        f"{name} {had[name]}, now {value}"
        for name, value in settings.items()
        if name in had and _comparable(name, value) != _comparable(name, had[name])
    ]


def _comparable(name: str, value: Any) -> Any:
    """A setting as YAML or JSON may write it in another way: ``1e-3`` is text in YAML, and no regulariser is 0."""
    if isinstance(value, list | tuple):
        return [_comparable(name, part) for part in value]
    if isinstance(value, dict):
        return {key: _comparable(name, part) for key, part in value.items()}
    if value is None and name.endswith("regularizer"):
        return 0.0
    try:
        return value if isinstance(value, bool | None) else float(value)
    except ValueError:
        return value


def repeating_command(experiment: str, seeds: Iterable[int]) -> str:
    """The command that repeats these runs of an experiment and no others."""
    return f"fuxibench run {shlex.quote(experiment)} --seeds {','.join(map(str, seeds))} --force"


def require_one_digest(records: Sequence[Record]) -> None:
    """
    Raises:
        UserError: the runs of an experiment are of more than one digest, so that they must not be averaged.
    """
    first = records[0]
    for other in records:
        if other.digest != first.digest:
            raise UserError(
                f"{first.experiment} must have runs of the same settings and code, but seeds {first.seed} and "
                f"{other.seed} differ: {'; '.join(differences(first, other))}. Repeat one of them with --force."
            )


def short_code(name: str) -> str:
    """``revision 2``, or the first digits of a hash."""
    return name[:19] if name.startswith("sha256:") else name
