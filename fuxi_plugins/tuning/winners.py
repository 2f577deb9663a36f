"""A search's winners as a suite of their own, with seeds that the search has not seen."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fuxi_plugins.core.configs import new_config_file
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.files import write_text
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.core.yaml_files import yaml_text
from fuxi_plugins.experiments.catalogue import load_experiment_configs
from fuxi_plugins.experiments.suite import Suite
from fuxi_plugins.tuning.report import render_config, tuned_id

if TYPE_CHECKING:
    from fuxi_plugins.tuning.search import Tuned

_MADE = "# Winners of `fuxibench tune {suite}`, which writes this file anew."
SEEDS = 3  # of each winner


def board_files(board: str, suite: Suite, workspace: Workspace) -> tuple[Path, Path]:
    """The files of experiments and of the suite ``board``: new ones, or those that an earlier call has written.

    Raises:
        UserError: a file of this name is somebody's own, or another file has an experiment of a winner's name.
    """
    files = []
    for kind in ("model_config", "suites"):
        path = workspace.configs / kind / f"{board}.yaml"
        if not (path.is_file() and path.read_text(encoding="utf-8").startswith(_MADE.format(suite=suite.name))):
            path = new_config_file(workspace.configs, kind, board)
        files.append(path)
    known = load_experiment_configs(workspace.all_configs)
    for config in suite.experiments:
        there = known.get(tuned_id(config))
        if there and there.file != files[0]:
            raise UserError(f"{there.file} has {tuned_id(config)} already; move it away to write {files[0]}.")
    return files[0], files[1]


def write_board(files: tuple[Path, Path], suite: Suite, tuned: Sequence["Tuned"], seed: int) -> int:
    """Writes the winners' experiments and a suite of them, and returns how many there are; nothing if there are none.

    Args:
        files: of :func:`board_files`.
        suite: that was tuned.
        tuned: its searches.
        seed: of the search. The board has the next ones, for a choice among runs is partly one of lucky seeds.
    """
    winners = [tuned_id(one.config) for one in tuned if one.best]
    if not winners:
        return 0
    written = {"title": f"{suite.title}, tuned", "experiments": winners, "seeds": [seed + n + 1 for n in range(SEEDS)]}
    for path, text in zip(files, (render_config(tuned), yaml_text(written)), strict=True):
        write_text(path, f"{_MADE.format(suite=suite.name)}\n\n{text}")
    return len(winners)
