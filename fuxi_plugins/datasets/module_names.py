"""What columns are called inside models: torch gives a module no name that its containers have or that holds a dot."""

from torch import nn

_TAKEN = frozenset(dir(nn.ModuleDict()))  # ``type``, ``items``, ``update``, ``training``, ...


def module_name(column: str) -> str:
    """The name of a column inside models: its own, or where torch would refuse that, the name in URL quoting.

    No two columns get one name.
    """
    quoted = column.replace("%", "%25").replace(".", "%2E")
    return f"%{ord(quoted[0]):02X}{quoted[1:]}" if quoted in _TAKEN else quoted
