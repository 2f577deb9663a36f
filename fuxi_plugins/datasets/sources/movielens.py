"""MovieLens 100K as a CTR dataset: will this user give this film four stars or more, at this moment?

The source is GroupLens's own distribution (Harper and Konstan 2015, doi 10.1145/2827872): 100,000 ratings by 943
users of 1,682 films, from September 1997 to April 1998, each with its second.

A row holds nothing that became known in its own second or later, except its label. The split is by time, as a
recommender lives it: a model learns from the past and is asked about the future. A split at random is there to be
compared with it.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.datasets.columns import SPLITS
from fuxi_plugins.datasets.sources.tenths import random_order, tenths

POSITIVE_STARS = 4  # a rating of four or five is a like
HISTORY_LENGTH = 50
_SECONDS = 10**9  # more than any second of nine digits, which is all that u.data holds

# The layout of each raw file: what a line must match, and the same in words for the error message.
_RATING = re.compile(r"(\d{1,9})\t(\d{1,9})\t([1-5])\t(\d{1,9})")
_RATING_WORDS = "user id, item id, rating of 1 to 5 and Unix second, separated by tabs"
_USER = re.compile(r"(\d{1,9})\|(\d{1,3})\|([MF])\|([a-z]+)\|(\w+)")
_USER_WORDS = "user id|age|M or F|occupation|zip code"
_FILM = re.compile(r"(\d{1,9})\|([^|]*)\|(?:\d\d?-[A-Z][a-z]{2}-(\d{4}))?\|[^|]*\|[^|]*\|([01](?:\|[01])*)")
_FILM_WORDS = "movie id|title|day-month-year or nothing|video date|url|one 0 or 1 per genre of u.genre"
_GENRE = re.compile(r"([^|^,\"]+)\|(\d{1,2})")
_GENRE_WORDS = "genre|its number, counting from 0"
_YEAR_IN_TITLE = re.compile(r"\((\d{4})\)")


def build_ml100k(source: Path, folder: Path, *, split: Literal["time", "random"] = "time") -> None:
    """Writes train.csv, valid.csv and test.csv from the raw files; the same files give the same bytes.

    Columns, in this order:
        label: 1 when the rating is four or five, else 0.
        user_id, age (years), gender, occupation: as in u.user.
        zip_prefix: first digit of the zip code, a region of the USA, or ``other`` where it begins with a letter.
        item_id: the film.
        release_year: of the film's release date, else the one in its title, else ``unknown``.
        genres: joined by ``^``, in the order of u.genre.
        hour (0 to 23), weekday (1 Monday to 7 Sunday): of the rating, in UTC.
        history: the films that the user liked in seconds before this row's, oldest first (within a second by
            film number), the latest 50, joined by ``^``; empty for none. In a split by time it runs on through valid
            and test; in one at random it holds films of training rows alone, so that no input of training tells the
            label of a test row.
        timestamp: Unix second, for checking; no feature, since it tells the future from the past.

    Split by time, rows are in order of time, then user number, then film number. The border between two splits lies
    before the second of the row at 80% (90%) of the table, so a second with several ratings belongs whole to the
    later split: of a page of films rated at one stroke, never a part is in train and the rest in test.

    Args:
        source: folder with u.data, u.item, u.user and u.genre (Latin-1).
        folder: an existing folder to write to.
        split: ``time``; or ``random``: 80%, 10% and 10% of that order, shuffled by numpy's PCG64(2026).

    Raises:
        UserError: a raw line is not of its file's layout, a rating is of an unknown user or film, or the
            ratings lie in too few seconds to make three splits.
    """
    users = _read_users(source / "u.user")
    films = _read_films(source / "u.item", _read_genres(source / "u.genre"))
    ratings = _read_ratings(source / "u.data", users, films)
    rows = (
        ratings.join(users, on="user_id", how="left")
        .join(films, on="item_id", how="left")
        .sort("timestamp", "user_id", "item_id")
    )
    places = tenths(random_order(rows.height)) if split == "random" else _split_by_time(rows["timestamp"])
    known = np.zeros(rows.height, dtype=bool)
    known[places["train"] if split == "random" else slice(None)] = True
    moment = pl.from_epoch("timestamp", time_unit="s")
    rows = rows.with_columns(
        hour=moment.dt.hour(),
        weekday=moment.dt.weekday(),
        history=pl.Series(_histories(rows, known), dtype=pl.String),
    ).select(
        *(
            "label",
            "user_id",
            "age",
            "gender",
            "occupation",
            "zip_prefix",
            "item_id",
            "release_year",
            "genres",
        ),
        *("hour", "weekday", "history", "timestamp"),
    )
    for name, of_split in places.items():
        rows[of_split].write_csv(folder / f"{name}.csv", quote_style="never")


def _split_by_time(seconds: pl.Series) -> dict[str, np.ndarray]:
    """The places of rows in order of time, cut near 80% and 90%, never within a second."""
    valid_from, test_from = (seconds[len(seconds) * tenth // 10] for tenth in (8, 9))
    if not seconds[0] < valid_from < test_from:
        raise UserError(
            "the ratings must reach over enough seconds to be split by time, but train, valid and test would "
            f"begin at the seconds {seconds[0]}, {valid_from} and {test_from}."
        )
    ends = np.searchsorted(seconds.to_numpy(), [valid_from, test_from])
    return dict(zip(SPLITS, np.split(np.arange(len(seconds)), ends), strict=True))


def _histories(rows: pl.DataFrame, known: np.ndarray) -> list[str]:
    """For each row the films that its user liked before its second, latest HISTORY_LENGTH, oldest first.

    Args:
        rows: in order of time.
        known: the rows whose likes a history may hold, one bool a row.
    """
    # User and second as one number, so that all users' likes lie in one sorted array, user after user.
    user = rows["user_id"].to_numpy() * _SECONDS
    moment = user + rows["timestamp"].to_numpy()
    is_like = known & (rows["label"].to_numpy() == 1)
    like_moment, like_film = moment[is_like], rows["item_id"].to_numpy()[is_like]
    order = np.lexsort((like_film, like_moment))
    like_moment = like_moment[order]
    like_film = like_film[order].astype(str).tolist()
    # side="left" ends the history at the first like of the row's own second: that second is not yet the past.
    end = np.searchsorted(like_moment, moment, side="left")
    start = np.maximum(np.searchsorted(like_moment, user, side="left"), end - HISTORY_LENGTH)
    return ["^".join(like_film[first:last]) for first, last in zip(start, end, strict=True)]


def _read_ratings(path: Path, users: pl.DataFrame, films: pl.DataFrame) -> pl.DataFrame:
    known_users, known_films = set(users["user_id"]), set(films["item_id"])
    ratings = []
    for where, (user, film, stars, second) in _matches(path, _RATING, _RATING_WORDS):
        if int(user) not in known_users:
            raise UserError(f"{where}: every user must be in u.user, but {user} is not.")
        if int(film) not in known_films:
            raise UserError(f"{where}: every film must be in u.item, but {film} is not.")
        ratings.append((int(user), int(film), int(int(stars) >= POSITIVE_STARS), int(second)))
    return _table(path, ratings, {"user_id": int, "item_id": int, "label": int, "timestamp": int})


def _read_users(path: Path) -> pl.DataFrame:
    users = [
        (int(user), int(age), gender, occupation, zip_code[0] if zip_code[0] in "0123456789" else "other")
        for _, (user, age, gender, occupation, zip_code) in _matches(path, _USER, _USER_WORDS)
    ]
    return _table(path, users, {"user_id": int, "age": int, "gender": str, "occupation": str, "zip_prefix": str})


def _read_films(path: Path, genres: list[str]) -> pl.DataFrame:
    films = []
    for where, (film, title, year, listed) in _matches(path, _FILM, _FILM_WORDS):
        flags = listed.split("|")
        if len(flags) != len(genres):
            raise UserError(f"{where}: expected {len(genres)} genre flags, as u.genre has, but found {len(flags)}.")
        years_in_title = _YEAR_IN_TITLE.findall(title)
        year = year or (years_in_title[-1] if years_in_title else "unknown")
        own = "^".join(genre for genre, flag in zip(genres, flags, strict=True) if flag == "1")
        films.append((int(film), year, own))
    return _table(path, films, {"item_id": int, "release_year": str, "genres": str})


def _read_genres(path: Path) -> list[str]:
    genres: list[str] = []
    for where, (genre, number) in _matches(path, _GENRE, _GENRE_WORDS):
        if int(number) != len(genres):
            raise UserError(f"{where}: expected genre number {len(genres)}, but found {number}.")
        genres.append(genre)
    return genres


def _matches(path: Path, layout: re.Pattern, words: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The place ("u.data, line 7") and the parts of every line that is not blank."""
    for number, line in enumerate(path.read_text(encoding="latin-1").split("\n"), start=1):
        if not line:
            continue
        where = f"{path}, line {number}"
        match = layout.fullmatch(line)
        if match is None:
            raise UserError(f"{where}: expected {words}, but found {line!r}.")
        yield where, match.groups()


def _table(path: Path, rows: list[tuple], schema: dict[str, type]) -> pl.DataFrame:
    if not rows:
        raise UserError(f"{path} must have at least one line, but is empty.")
    return pl.DataFrame(rows, schema=schema, orient="row")
