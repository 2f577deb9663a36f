"""Tables beside the rows, as of users or items: which files are some, and by which ids they are joined."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import PurePath
from typing import Any

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.datasets.describing.columns import Guess, idle, tells_rows_apart
from fuxi_plugins.datasets.describing.found_files import FoundFiles
from fuxi_plugins.datasets.describing.names import (
    are_one,
    is_bare_id,
    is_history,
    is_id,
    is_item,
    is_made_up,
    is_moment,
    is_user,
    tells_of,
)
from fuxi_plugins.datasets.reading.files import read_blocks, read_header
from fuxi_plugins.datasets.reading.values import UnreadableColumnError, as_text
from fuxi_plugins.datasets.side_tables import SideTable, read_table

KNOWN = 0.5  # of the rows' ids that a table must know
_HEAD_BYTES = 1 << 20  # of the rows, whose ids are looked for


def find_tables(files: FoundFiles, header: list[str]) -> list[SideTable]:
    """The files beside the rows that have a row for each id in a column of theirs, and more to say of it.

    Args:
        files: as they lie on the disk.
        header: the columns of the rows.
    """
    if all(map(is_made_up, header)):  # numbered columns mean nothing in another file
        return []
    found: list[SideTable] = []
    taken = set(header)
    for name in _with_patterns(files.others):
        is_part = any(fnmatchcase(name, table.name) for table in found)
        if is_part or "submission" in name.lower():  # which has what a competition asks for, not what is known
            continue
        try:
            columns = read_header(files.root / name, files.file_format)
        except UserError:  # of another form than the rows
            continue
        if all(map(is_made_up, columns)):
            continue
        new = [column for column in columns if column not in taken]
        keys = _possible_keys(name, columns, header)
        if lists := files.file_format.impressions:  # whose items the rows are about, more than others that they name
            keys = sorted(keys, key=lambda pair: pair[1] != lists.item)
        for key, of_rows in keys:
            table = _table(files, name, key, of_rows, [column for column in new if column != key])
            if table and table.frame.width and _share_known(table, files) >= KNOWN:
                found.append(table)
                taken.update(table.frame.columns)
                break
    return found


def _with_patterns(names: Sequence[str]) -> list[str]:
    """Names of files, and before those that several folders have, as ``*/items.csv``, what stands for all of them."""
    paths = [PurePath(name) for name in names]
    within = Counter(path.name for path in paths if len(path.parts) == 2)
    patterns = [f"*/{name}" for name, folders in within.items() if folders > 1]
    return [*(name for name in names if "/" not in name), *patterns, *(name for name in names if "/" in name)]


def _possible_keys(file: str, columns: list[str], header: list[str]) -> list[tuple[str, str]]:
    """By which columns of a table and of the rows it may be joined, the most likely first.

    Those are columns of one name, ids before others; names that mean the same ids (``userid`` and ``user``); and a
    bare ``id`` in a file that is named after what the rows number (``users.csv`` and ``user_id``).
    """
    same = [(column, column) for column in columns if column in header and not is_moment(column)]
    meant = [(one, other) for one in columns for other in header if one != other and are_one(one, other)]
    bare = [
        (one, other)
        for one in columns
        for other in header
        if is_bare_id(one) and is_id(other) and tells_of(file, other)
    ]
    named = [pair for pair in same if is_id(pair[0]) and not is_bare_id(pair[0])]
    return list(dict.fromkeys([*named, *meant, *bare, *same]))


def _table(files: FoundFiles, name: str, key: str, of_rows: str, columns: list[str]) -> SideTable | None:
    """The table without the columns that nobody can read; None where not every row has an id of its own."""
    while True:
        try:
            return read_table(files.root, name, key, of_rows, columns, files.file_format)
        except UnreadableColumnError as error:
            if error.column == key:
                return None
            columns = [column for column in columns if column != error.column]
        except UserError:
            return None


def _share_known(table: SideTable, files: FoundFiles) -> float:
    """Of the different ids at the head of the rows."""
    blocks = read_blocks(files.root / files.names["train"], [table.of_rows], files.file_format, _HEAD_BYTES)
    block = next(blocks, None)
    if block is None:
        return 0.0
    ids = as_text(block.frame[table.of_rows]).drop_nulls().unique()
    return sum(text in table.rows for text in ids) / max(len(ids), 1)


def without_names(guesses: Mapping[str, Guess], tables: Iterable[SideTable]) -> dict[str, Guess]:
    """Leaves out what tells the rows of a table apart, such as titles and further ids; its key does so already."""
    names = {
        name
        for table in tables
        for name, values in table.frame.to_dict().items()
        if name in guesses and _is_a_name(guesses[name]) and tells_rows_apart(as_text(values).drop_nulls())
    }
    return {name: idle(name, "own") if name in names else guess for name, guess in guesses.items()}


def _is_a_name(guess: Guess) -> bool:
    """Whether a column holds texts or ids; other whole numbers may be amounts."""
    return _is_of_ids(guess) and ("whole" not in guess.notes or is_id(guess.entry["name"]))


def sources_of(tables: Iterable[SideTable], guesses: Mapping[str, Guess]) -> dict[str, list[str]]:
    """By ``user`` and ``item``, the features that tables tell of them and the ids of these tables.

    Where a table tells of one of the two, the other has its ids alone. Histories are the user's.
    """
    found: dict[str, list[str]] = {}
    for table in tables:
        source = "user" if is_user(table.of_rows) else "item" if is_item(table.of_rows) else None
        told = [name for name in (table.of_rows, *table.frame.columns) if name in guesses and guesses[name].active]
        if source and told:
            found.setdefault(source, []).extend(name for name in told if name not in found.get(source, []))
    for source, is_one in (("user", is_user), ("item", is_item)):
        ids = [name for name, guess in guesses.items() if is_one(name) and _is_of_ids(guess)]
        if found and source not in found and ids:
            found[source] = ids[:1]
    known = {name for names in found.values() for name in names}
    histories = [name for name, guess in guesses.items() if guess.entry["type"] == "sequence" and is_history(name)]
    if "user" in found:
        found["user"] += [name for name in histories if guesses[name].active and name not in known]
    return found


def _is_of_ids(guess: Guess) -> bool:
    return guess.active and guess.entry["type"] == "categorical"


def columns_of_requests(tables: Iterable[SideTable]) -> list[str]:
    """What tables tell of the occasions that rows belong to, such as their times, and not of users or items."""
    of_requests = (table for table in tables if not is_user(table.of_rows) and not is_item(table.of_rows))
    return [name for table in of_requests for name in table.frame.columns]


def said_of(tables: Sequence[SideTable], files: FoundFiles) -> list[str]:
    """What the owner of the files is told."""
    joined = [f"{table.name} by {_key_in_words(table)} ({', '.join(table.frame.columns)})" for table in tables]
    said = [f"Joined to the rows: {'; '.join(joined)}."] if joined else []
    holders: dict[str, str] = {}
    for table in tables:
        header = read_header(files.root / table.name, files.file_format)
        said += [
            f"{column} stands in {holders[column]} and in {table.name}: that of {holders[column]} is taken. Rename "
            "one of them to have both."
            for column in header
            if column in holders
        ]
        holders |= dict.fromkeys(table.frame.columns, table.name)
    return said


def _key_in_words(table: SideTable) -> str:
    return table.key if table.key == table.of_rows else f"its {table.key}, which the rows call {table.of_rows}"


def setting_of(tables: Iterable[SideTable]) -> dict[str, Any]:
    """The part of a dataset's config."""
    by_name = {table.name: table.key if table.key == table.of_rows else {table.key: table.of_rows} for table in tables}
    return {"tables": by_name} if by_name else {}
