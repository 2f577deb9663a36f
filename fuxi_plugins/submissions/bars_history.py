"""The runs that result folders in BARS's form report, as a history that nobody has verified.

BARS (Zhu et al., SIGIR 2022) keeps a folder for each model and dataset, whose ``results.csv`` has one line a run, as
FuxiCTR's ``run_expid.py`` appends it. There are no predictions, so that no number can be recomputed.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from fuxi_plugins.analysis.published import MODEL_NAMES, load_published
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.records.metrics import is_metric

RESULTS_FILE = "results.csv"
MOST_BYTES = 4 << 20  # of one such file
_LINE = re.compile(
    r"(?:seed=(?P<seed>\d+),)?\s*(?P<time>\d{8}-\d{6}),\[command\] (?P<command>.*?),\[exp_id\] (?P<experiment>.*?),"
    r"\[dataset_id\] (?P<dataset>.*?),\[train\] .*?,\[val\] (?P<valid>.*?),\[test\] (?P<test>.*)"
)
_HASH = re.compile(r"_[0-9a-f]{8}$")  # that FuxiCTR's tuner puts after a dataset's name


@dataclass(frozen=True)
class ReportedRun:
    """One line of a ``results.csv``."""

    dataset: str  # as the published tables call it, or as the line does
    model: str
    run: int  # its place in the file, from 1
    seed: int | None  # where the line says it
    time: str  # ISO 8601, without a zone
    valid: dict[str, float]
    test: dict[str, float]
    experiment: str
    folder: str  # below the folder that was read


@dataclass(frozen=True)
class History:
    runs: list[ReportedRun]
    unread: list[str]  # lines that are no results, with the reason


def read_history(path: Path, results: Path) -> History:
    """Reads every ``results.csv`` below a folder.

    Args:
        path: a checkout of BARS, a part of one, or what ``fuxibench report bars`` wrote.
        results: the folder with the published results, for the names of datasets.

    Raises:
        UserError: there is no such file.
    """
    files = sorted(path.rglob(RESULTS_FILE))
    if not files:
        raise UserError(f"{path} must hold folders of results in BARS's form, but no {RESULTS_FILE} is below it.")
    published = {row.dataset.lower(): row.dataset for row in load_published(results)}
    runs, unread = [], []
    for file in files:
        for number, line in _lines(file):
            found = _parse(line)
            where = f"{file.relative_to(path)}, line {number}"
            if isinstance(found, str):
                unread.append(f"{where}: {found}")
                continue
            model, dataset = _names(file.parent.name, found["dataset"], published)
            valid, test = _metrics(found["valid"]), _metrics(found["test"])
            if not test:
                unread.append(f"{where}: no test metric that is known here")
                continue
            runs.append(
                ReportedRun(
                    dataset=dataset,
                    model=MODEL_NAMES.get(model, model),
                    run=number,
                    seed=int(found["seed"]) if found["seed"] else None,
                    time=datetime.strptime(found["time"], "%Y%m%d-%H%M%S").isoformat(),
                    valid=valid,
                    test=test,
                    experiment=found["experiment"],
                    folder=file.parent.relative_to(path).as_posix(),
                )
            )
    return History(sorted(runs, key=lambda run: (run.dataset, run.model, run.folder, run.run)), unread)


def _lines(file: Path) -> Iterator[tuple[int, str]]:
    """Lines that are not empty, with their number among those; empty ones may have commas."""
    if file.stat().st_size > MOST_BYTES:
        raise UserError(
            f"{file} must be a list of results, but has {file.stat().st_size:,} bytes; {MOST_BYTES:,} at most."
        )
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    yield from enumerate((line for line in lines if line.strip(" ,")), start=1)


def _parse(line: str) -> Mapping[str, str] | str:
    """The parts of a line, or why it has none."""
    match = _LINE.fullmatch(line.strip())
    if match is None:
        return f"not FuxiCTR's line of results: {line[:60]!r}"
    try:
        datetime.strptime(match["time"], "%Y%m%d-%H%M%S")
    except ValueError:
        return f"{match['time']!r} is no time"
    return match.groupdict()


def _names(folder: str, dataset_id: str, published: Mapping[str, str]) -> tuple[str, str]:
    """Model and dataset of a folder called ``MODEL_DATASET``.

    >>> _names("APG_DCNv2_criteo_x1", "criteo_x1_7b681156", {"criteo_x1": "Criteo_x1"})
    ('APG_DCNv2', 'Criteo_x1')
    >>> _names("DNN_my_clicks", "my_clicks", {})
    ('DNN', 'my_clicks')
    """
    fitting = [name for name in published if folder.lower().endswith(f"_{name}")]
    said = _HASH.sub("", dataset_id)
    dataset = max(fitting, key=len, default=said)
    return folder[: -len(dataset) - 1] if folder.lower().endswith(f"_{dataset.lower()}") else folder, published.get(
        dataset, dataset
    )


def _metrics(text: str) -> dict[str, float]:
    """``AUC: 0.98 - logloss: 0.15`` as numbers; what is no metric here is left out."""
    found = {}
    for part in text.split(" - "):
        name, colon, value = part.strip().partition(": ")
        if colon and is_metric(name) and re.fullmatch(r"[0-9.]+", value):
            found[name] = float(value)
    return found


def by_folder(runs: Sequence[ReportedRun]) -> dict[tuple[str, str, str], list[ReportedRun]]:
    """The runs of each dataset, model and folder."""
    found: dict[tuple[str, str, str], list[ReportedRun]] = {}
    for run in runs:
        found.setdefault((run.dataset, run.model, run.folder), []).append(run)
    return found
