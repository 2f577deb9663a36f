"""Whose line a failure names."""

import sysconfig
from pathlib import Path

import pytest

from fuxi_plugins.core.tracebacks import own_line
from fuxi_plugins.training import hosted

MINE = Path(hosted.__file__).parents[2] / "my_model.py"  # beside this package, as in a checkout of it
OWN_FRAME = f'  File "{MINE}", line 7, in forward\n    x @ y\n'


@pytest.mark.parametrize("file", [hosted.__file__, f"{sysconfig.get_path('purelib')}/fuxictr/layers.py"])
def test_a_line_of_this_package_or_an_installed_one_is_not_the_users(file):
    """A training that diverges fails in the harness, of which no line can be mended by the user."""
    theirs = f'  File "{file}", line 147, in _mean_loss\n    raise TrainingFailed(\n'
    for folder in (MINE.parent, Path("/")):
        assert own_line(theirs, folder) == ""
        assert own_line(OWN_FRAME + theirs, folder) == "my_model.py:7, in forward: x @ y"
