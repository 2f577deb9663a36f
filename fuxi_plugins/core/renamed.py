"""Old names of settings, which stay understood for one release."""

import warnings
from collections.abc import Mapping
from typing import Any

from fuxi_plugins.core.errors import UserError


def with_new_names(given: Mapping[str, Any], new_names: Mapping[str, str], where: str) -> dict[str, Any]:
    """Gives the values under today's names. An old name is understood, with a warning that tells the new one.

    Raises:
        UserError: a value is given under both names.

    >>> with_new_names({"colour": 1, "size": 2}, {"colour": "color"}, "paint.yaml")
    {'color': 1, 'size': 2}
    """
    renamed = {}
    for name, value in given.items():
        new = new_names.get(name, name)
        if new != name:
            if new in given:
                raise UserError(f"{where}: {name} is the old name of {new}, and both are given; leave {name} out.")
            warnings.warn(f"{where}: {name} is now called {new}; the next release drops the old name", stacklevel=2)
        renamed[new] = value
    return renamed
