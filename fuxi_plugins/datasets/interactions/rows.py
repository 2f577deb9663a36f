"""Makes the rows of a dataset from a log of interactions, as the config's ``from_interactions`` says.

The log is held in memory, which takes about 250 bytes an interaction while it is read. Rows are written block by block,
so that the text of histories, which is much larger, is never whole in memory.
"""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import polars as pl

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.datasets.columns import SPLITS
from fuxi_plugins.datasets.interactions.attributes import read_attributes
from fuxi_plugins.datasets.interactions.log import Interactions, read_log
from fuxi_plugins.datasets.interactions.negatives import draw_negatives
from fuxi_plugins.datasets.interactions.settings import FromInteractions, RowSplit
from fuxi_plugins.datasets.splitting import TEST, TRAIN, VALID, time_borders

BLOCK_ROWS = 1 << 16


def build_rows(source: Path, folder: Path, settings: FromInteractions) -> None:
    """Writes train.csv, valid.csv and test.csv; the same log and settings give the same bytes.

    Rows stand user after user, in the order in which the log first names them, and of each user in order of time; a
    positive is followed by the negatives that were drawn for it.

    Args:
        source: the folder with the log and the attributes.
        folder: an existing folder to write to.
        settings: how rows are made; :class:`FromInteractions` lists their columns.

    Raises:
        UserError: a file is not of its form, no row is left, or a user leaves no item to be drawn.
    """
    log = read_log(source, settings.log)
    known = _Attributes(
        read_attributes(source, settings.items, log.items), read_attributes(source, settings.users, log.users)
    )
    drawn_split = draw_split(log, settings.split) if settings.split.by == "random" else None
    # Drawn at random, a row of test may be older than one of train, whose history must not tell what test asks.
    told = log.positive if drawn_split is None else log.positive & (drawn_split == TRAIN)
    begins, ends = histories(log, told, settings.history)
    is_row = log.positive | (settings.log.others == "negatives")
    rows = np.flatnonzero(is_row & (ends - begins >= settings.min_history))
    if not len(rows):
        raise UserError(
            f"{', '.join(settings.log.files)} must hold interactions of which rows are made, but of its "
            f"{len(log.user):,} none is positive after {settings.min_history} earlier ones of its user."
        )
    split = split_rows(log, rows, settings) if drawn_split is None else drawn_split[rows]
    is_positive = log.positive[rows]
    drawn = draw_negatives(log, rows[is_positive], split[is_positive] == TRAIN, settings.negatives)
    several = np.where(is_positive, 1 + settings.negatives.per_positive, 1)  # rows that each interaction gives
    likes = log.items.gather(log.item[told]).to_list()
    done = 0
    with ExitStack() as files:
        writers = [_Writer(files.enter_context((folder / f"{name}.csv").open("wb"))) for name in SPLITS]
        for first in range(0, len(rows), BLOCK_ROWS):
            block = slice(first, first + BLOCK_ROWS)
            of = np.repeat(np.arange(len(rows[block])), several[block])
            is_drawn = np.diff(of, prepend=-1) == 0
            row = rows[block][of]
            item = log.item[row]
            item[is_drawn] = drawn[done : done + is_drawn.sum()]
            done += is_drawn.sum()
            spans = zip(begins[rows[block]].tolist(), ends[rows[block]].tolist(), strict=True)
            joined = ["^".join(likes[begin:end]) or None for begin, end in spans]
            history = pl.Series(joined, dtype=pl.String).gather(of)
            frame = _table(log, row, item, is_drawn, history, known)
            for place, writer in enumerate(writers):
                writer.write(frame.filter(split[block][of] == place))


@dataclass(frozen=True)
class _Attributes:
    """What is known of each item and user, in the order of the log's ``items`` and ``users``."""

    of_items: pl.DataFrame
    of_users: pl.DataFrame


def _table(
    log: Interactions, row: np.ndarray, item: np.ndarray, is_drawn: np.ndarray, history: pl.Series, known: _Attributes
) -> pl.DataFrame:
    """The made rows as they are written; ``row`` are the interactions that they come from, ``item`` their items."""
    user = log.user[row]
    frame = pl.DataFrame(
        {
            "label": (log.positive[row] & ~is_drawn).astype(np.int8),
            "user_id": log.users.gather(user),
            "item_id": log.items.gather(item),
            "timestamp": log.timestamps[row],
            "history": history,
        }
    )
    places = [(log.context, row), (known.of_items, item), (known.of_users, user)]
    return frame.hstack([column.gather(place) for table, place in places for column in table])


def histories(log: Interactions, told: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """For each interaction the part of those told that is its history.

    Args:
        told: (N,) whether histories may hold the interaction.

    Returns:
        (N,), (N,): the first place and the one after the last, among the told alone, of the ``most`` latest of the
        same user in moments before the interaction's own.
    """
    before = np.cumsum(told) - told
    new_user = np.diff(log.user, prepend=-1) != 0
    new_moment = new_user | (np.diff(log.moment, prepend=np.nan) != 0)
    places = np.arange(len(log.user))
    ends = before[np.maximum.accumulate(np.where(new_moment, places, 0))]
    starts = before[np.maximum.accumulate(np.where(new_user, places, 0))]
    return np.maximum(starts, ends - most), ends


def split_rows(log: Interactions, rows: np.ndarray, settings: FromInteractions) -> np.ndarray:
    """(len(rows),) the place in ``SPLITS`` of each of the log's interactions in ``rows``, of a split without draws."""
    split: RowSplit = settings.split
    if split.by == "time":
        borders = time_borders(pl.Series(log.moment[rows]), *split.shares)
        return np.searchsorted(np.array(borders), log.moment[rows], side="left")
    if split.by == "file":
        of_file = {split.valid: VALID, split.test: TEST}
        return np.array([of_file.get(name, TRAIN) for name in settings.log.files])[log.file[rows]]
    user = log.user[rows]
    later = np.searchsorted(user, user, side="right") - 1 - np.arange(len(rows))  # rows of the user after this one
    return np.select([later == 0, later == 1], [TEST, VALID], TRAIN)


def draw_split(log: Interactions, split: RowSplit) -> np.ndarray:
    """(N,) the place in ``SPLITS`` of each interaction, one draw each."""
    valid, test = split.shares
    drawn = np.random.Generator(np.random.PCG64(split.seed)).random(len(log.user))
    return np.searchsorted(np.array([1 - valid - test, 1 - test]), drawn, side="right")


@dataclass
class _Writer:
    """Appends frames to a csv file that begins with a header."""

    file: IO[bytes]
    started: bool = False

    def write(self, frame: pl.DataFrame) -> None:
        frame.write_csv(self.file, include_header=not self.started)
        self.started = True
