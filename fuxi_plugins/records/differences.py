"""Says in what two runs of one experiment differ, and refuses to average such runs."""

from collections.abc import Sequence

from fuxi_plugins.core.errors import UserError
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
    for part, here in one.code:
        if here != (there := getattr(other.code, part)):
            found.append(f"code of the {part} {short_code(here)} and {short_code(there)}")
    return found


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
