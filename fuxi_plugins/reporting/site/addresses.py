"""Addresses of pages: a record's names become file names that cannot escape the folder or meet another's."""

import hashlib
import re
from functools import cache, lru_cache
from pathlib import Path

from fuxi_plugins.records.record import Record


@lru_cache(maxsize=1000)  # a page asks for the same one several times
def slug(*names: object) -> str:
    """A file name of letters, digits and dashes; names that differ differ in it.

    >>> slug("DCNv2_ml100k", 1)
    'DCNv2-ml100k-1-ad519e'
    """
    text = "\n".join(map(str, names))
    readable = re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-")[:80]
    return f"{readable}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"


def model_page(display_name: str) -> str:
    return f"models/{slug(display_name)}.html"


def run_page(record: Record) -> str:
    return f"runs/{slug(record.dataset, record.experiment, record.seed)}.html"


def run_record(record: Record) -> str:
    return f"data/{slug(record.dataset, record.experiment, record.seed)}.json"


def board_page(stem: str) -> str:
    return f"boards/{slug(stem)}.html"


def dataset_page(dataset: str) -> str:
    return f"datasets/{slug(dataset)}.html"


def run_config(record: Record) -> str:
    return f"configs/{slug(record.dataset, record.experiment, record.seed)}.yaml"


def dataset_config(dataset: str) -> str:
    return f"configs/{slug(dataset)}.yaml"


@cache
def code_file(file: Path) -> str:
    """Of a source file, as text, which every browser shows; files of one name that differ have two addresses."""
    return f"code/{file.stem}-{hashlib.sha256(file.read_bytes()).hexdigest()[:6]}{file.suffix}.txt"


def logo(file: Path) -> str:
    return f"static/logo{file.suffix.lower()}"


def search_data(suite: str) -> str:
    return f"data/search-{slug(suite)}.json"
