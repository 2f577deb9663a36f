"""What ``import fuxi_plugins as fb`` offers: the commands as functions, with pandas tables as their results.

All of them work in the workspace of the current folder, as the commands do.
"""

import inspect
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from fuxi_plugins.cli.model_files import use_models
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.records.files import find_records
from fuxi_plugins.reporting.frames import Board, runs_frame

if TYPE_CHECKING:
    from fuxi_plugins.datasets.describing.found_files import ColumnNames
    from fuxi_plugins.datasets.describing.own_data import OwnData, Table
    from fuxi_plugins.experiments.common import NewBoard

_log = logging.getLogger(__name__)


def load_runs(dataset: str | None = None) -> pd.DataFrame:
    """Every recorded run, one row each, finished or not.

    Args:
        dataset: only the runs on this one.
    """
    return runs_frame(find_records(Workspace.locate().results, dataset))


def load_board(name: str, dataset: str | None = None, by: str | None = None) -> Board:
    """The board of a suite or of an experiment, from the records that are there.

    Args:
        name: as ``frappe_board``.
        dataset: which of its datasets, where it has several.
        by: metric to rank by. Default: AUC where it was measured.

    Raises:
        UserError: no such suite, no finished run, or several datasets of which none is named.
    """
    from fuxi_plugins.experiments.suite import find_suite
    from fuxi_plugins.reporting.boards import suite_board

    workspace = Workspace.locate()
    suite = find_suite(name, workspace)
    if dataset is None and len(suite.datasets) > 1:
        raise UserError(f"{name} is of several datasets; name one of {', '.join(suite.datasets)} as dataset=...")
    return Board(suite_board(suite, dataset or suite.datasets[0], workspace, by), suite.title)


def compare(a: str, b: str, dataset: str | None = None, by: str | None = None) -> pd.DataFrame:
    """Two models, paired by test row and seed: one row a dataset, ``a`` less ``b``.

    Returns:
        Columns ``dataset``, ``metric``, ``effect``, ``low`` and ``high`` (its 95% interval), ``p`` (adjusted for the
        pairs of the board that both stand on), ``significant``, ``seeds_won``, ``seeds_shared`` and ``sentence``.

    Raises:
        UserError: no finished runs of one of them, or none on the same dataset.
    """
    from fuxi_plugins.reporting.comparing import comparisons_today

    return pd.DataFrame(
        {
            "dataset": one.dataset,
            "metric": one.metric,
            "a": one.a,
            "b": one.b,
            "effect": one.effect,
            "low": one.difference.interval.low if one.difference.interval else None,
            "high": one.difference.interval.high if one.difference.interval else None,
            "p": one.difference.adjusted_p,
            "significant": one.difference.significant,
            "seeds_won": one.seeds_won,
            "seeds_shared": one.seeds_shared,
            "sentence": one.sentence,
            "caveats": " ".join(one.caveats),
        }
        for one in comparisons_today(a, b, dataset, by, Workspace.locate())
    )


def run(
    name: str | None = None,
    *,
    model: str | type | None = None,
    dataset: str | None = None,
    settings: Mapping[str, Any] | None = None,
    beside: str | None = None,
    rows: Sequence[str] = (),
    seeds: Sequence[int] = (),
    gpus: Sequence[int] = (),
    jobs: int | None = None,
    force: bool = False,
    update: bool = False,
) -> pd.DataFrame:
    """Runs what is not finished yet and returns the runs, one row each, as ``load_runs`` does.

    Args:
        name: of a suite or an experiment. Instead of it, ``model`` with ``dataset`` or ``beside`` makes an experiment.
        model: a name, or a model class in a file, which is then registered.
        settings: of that experiment; the defaults of the model and of the training for all others.
        beside: a suite. The model is trained as the rows of its board are, and so are the rows that have no finished
            runs here. What is unequal nevertheless is logged, and ``pandas.DataFrame.attrs`` of the result has it
            under ``not_equal``.
        rows: names of the rows that it stands beside; all of them unless given.
        seeds: instead of the suite's own; 1 for an experiment.
        gpus: one run at a time on each; the CPU unless given.
        jobs: runs at once.
        force: run again what is finished; with ``beside``, the model's own runs alone.
        update: run again what was finished with other settings, code or data.

    Raises:
        UserError: whatever the command ``fuxibench run`` would refuse.
    """
    from fuxi_plugins.execution.planner import plan_suite, run_plan
    from fuxi_plugins.execution.resources import Resources
    from fuxi_plugins.experiments import adhoc
    from fuxi_plugins.experiments.suite import find_suite

    by_name, by_model = (name is not None), (model is not None and (dataset is None) != (beside is None))
    if by_name == by_model or (by_name and (model or dataset or beside)):
        raise UserError("what to run is named by name=..., or by model=... and either dataset=... or beside=...")
    workspace = Workspace.locate()
    use_models(workspace)
    not_equal: list[str] = []
    own: list[str] = []
    if model is None:
        suite = find_suite(name or "", workspace, seeds)
    else:
        known = register(model) if isinstance(model, type) else model
        if beside:
            found = adhoc.beside(beside, known, settings or {}, seeds, workspace, rows)
            suite, not_equal, own = found.to_run, found.remarks, [found.own.experiments[0].id]
        else:
            suite = adhoc.adhoc_suite(known, dataset or "", settings or {}, seeds, workspace)
    for remark in not_equal:
        _log.warning("not equal: %s", remark)
    resources = Resources.choose(gpus, jobs, threads=None)
    plan = plan_suite(suite, workspace, resources, force=force, update=update, not_skipped=own)
    run_plan(plan, suite, workspace, resources)
    wanted = {(c.dataset_id, c.id, seed) for c in suite.experiments for seed in suite.seeds_of(c.id)}
    records = [record for dataset_id in suite.datasets for record in find_records(workspace.results, dataset_id)]
    frame = runs_frame(r for r in records if (r.dataset, r.experiment, r.seed) in wanted)
    frame.attrs["not_equal"] = not_equal
    return frame


def describe(
    dataset: str,
    data: "str | Path | Table | Mapping[str, Table]",
    label: str | None = None,
    rule: str | None = None,
    interactions: bool = False,
    column_names: "ColumnNames" = (),
    splits: Mapping[str, str] | None = None,
) -> "OwnData":
    """Writes a first config for your own data, guessed from what they hold. Print the result and check it before use.

    Args:
        dataset: a new name.
        data: a folder or a file, as ``fuxibench data describe`` takes them; or a table of pandas, polars or Arrow, or
            one for each of ``train``, ``valid`` and ``test``. Tables are written to ``data/DATASET`` as parquet files.
        label: its column. Default: one with a usual name, such as ``label`` or ``click``.
        rule: which of its values are positive, as ``">= 4"``.
        interactions: the data are a log of what users did, without a label; rows with sampled negatives are made of it.
        column_names: of csv files without a header, or by the name of the file.
        splits: by ``train``, ``valid`` or ``test``, the file of the folder that holds it, where its name does not tell.

    Raises:
        UserError: the dataset is there already, or the data cannot be read; nothing is written then.
    """
    from fuxi_plugins.datasets.describing.own_data import describe_own

    return describe_own(dataset, data, Workspace.locate(), label, rule, interactions, column_names, splits)


def new_board(dataset: str, models: Sequence[str] = (), seeds: Sequence[int] = (1, 2, 3)) -> "NewBoard":
    """Writes the suite ``DATASET_common``: models on one dataset, all with one configuration, tuned for none.

    Args:
        dataset: its name.
        models: models and variants; all that work on the dataset unless given.
        seeds: of each model's runs.

    Returns:
        What was written. Its ``suite`` is what :func:`run` takes; ``left_out`` says why models are not on the board.

    Raises:
        UserError: no such dataset or model, or the suite is there already.
    """
    from fuxi_plugins.datasets.catalogue import load_dataset_spec
    from fuxi_plugins.datasets.row_counts import training_rows
    from fuxi_plugins.experiments.common import start_board

    workspace = Workspace.locate()
    use_models(workspace)
    rows = training_rows(load_dataset_spec(workspace.all_configs, dataset), workspace)
    return start_board(workspace.all_configs, dataset, models, seeds, train_rows=rows)


def register(model: type) -> str:
    """Makes a model class known by its name, which is returned. A run executes the class's file in its own process.

    Raises:
        UserError: the class was typed into a notebook or a shell, or its name is another model's.
    """
    from fuxi_plugins.models.registry import Sources, sources, use_sources

    try:
        file = Path(inspect.getsourcefile(model) or "")
    except (TypeError, OSError):  # of a class of __main__ without a file
        file = Path()
    if file.suffix != ".py" or not file.is_file():
        raise UserError(
            f"a run loads the model in a process of its own, so {model.__name__} must be defined in a Python file; in "
            "a notebook, begin its cell with %%writefile my_model.py and import it from there."
        )
    before = sources()
    if str(file.resolve()) not in before.files:
        use_sources(Sources(before.zoo, (*before.files, str(file.resolve()))))
    return model.__name__
