"""The twin of Avazu_x4: ten days of mobile advertising in October 2014, in sites and in apps.

Raw format: ``id,click,hour,C1,banner_pos,site_id,site_domain,site_category,app_id,app_domain,app_category,device_id,
device_ip,device_model,device_type,device_conn_type,C14..C21``. ``id`` is a whole number of up to twenty digits, beyond
64 bits with sign; ``hour`` is YYMMDDHH; sites, apps and devices are eight hexadecimal digits. A row is in a site or in
an app, and the other's three columns hold one id that stands for none; so does ``device_id`` in most rows, and ``C20``
is -1 in half of them.
"""

from pathlib import Path
from typing import ClassVar

import numpy as np
import polars as pl

from fuxi_plugins.datasets.synthetic.twins.engine import (
    Ids,
    Twin,
    build_twin,
    checked_rows,
    generator,
    hidden_scores,
    power_law,
)

DAYS, FIRST_DAY = 10, 141021  # 21 to 30 October 2014
APP_SHARE = 0.36
NO_DEVICE_SHARE = 0.82
# Fields drawn by themselves: ids. Zero stands for none where there is a none.
DRAWN = {
    "site_id": 4_700, "app_id": 8_500, "device_id": 2_600_000, "device_ip": 6_700_000, "device_model": 8_200,
    "C1": 7, "banner_pos": 7, "device_type": 5, "device_conn_type": 4, "C14": 2_600, "C18": 4, "C19": 68, "C20": 172,
}  # fmt: skip
# Fields that another one determines: (its name, ids).
DETERMINED = {
    "site_domain": ("site_id", 7_700), "site_category": ("site_id", 26), "app_domain": ("app_id", 550),
    "app_category": ("app_id", 36), "C15": ("C14", 8), "C16": ("C14", 9), "C17": ("C14", 435), "C21": ("C14", 60),
}  # fmt: skip
WHOLE_NUMBERS = {  # the smallest value of each field that holds whole numbers
    "C1": 1001, "banner_pos": 0, "device_type": 0, "device_conn_type": 0, "C14": 375, "C15": 120, "C16": 20,
    "C17": 112, "C18": 0, "C19": 33, "C20": 100_000, "C21": 1,
}  # fmt: skip
COLUMNS = [
    "hour", "C1", "banner_pos", "site_id", "site_domain", "site_category", "app_id", "app_domain", "app_category",
    "device_id", "device_ip", "device_model", "device_type", "device_conn_type", *(f"C{i}" for i in range(14, 22)),
]  # fmt: skip


class AvazuTwin(Twin):
    label = "click"
    click_rate = 0.1698
    logit_std = 1.4
    effects: ClassVar = {
        ("site_id",): 0.14,
        ("app_id",): 0.10,
        ("site_category",): 0.03,
        ("C14",): 0.10,
        ("C17",): 0.06,
        ("C16",): 0.03,
        ("C18",): 0.03,
        ("C19",): 0.03,
        ("C20",): 0.03,
        ("C21",): 0.03,
        ("banner_pos",): 0.02,
        ("device_model",): 0.04,
        ("hour_of_day",): 0.02,
        ("C21", "site_category"): 0.08,
        ("C17", "banner_pos"): 0.05,
        ("hour_of_day", "device_conn_type"): 0.04,
        ("C18", "C19"): 0.05,
        ("app_category", "C16", "weekday"): 0.06,
        ("site_category", "hour_of_day", "C15"): 0.06,
    }

    def __init__(self, seed: int):
        rng = generator(seed, "world")
        self._determined = {
            name: power_law(rng, size, size // 4, DRAWN[source]) for name, (source, size) in DETERMINED.items()
        }
        for values in self._determined.values():
            values[0] = 0  # none determines none
        sizes = DRAWN | {name: size for name, (_, size) in DETERMINED.items()} | {"hour_of_day": 24, "weekday": 7}
        named = dict.fromkeys(name for effect in self.effects for name in effect)
        self._scores = {name: hidden_scores(rng, sizes[name]) for name in named}

    def draw(self, rng: np.random.Generator, moments: np.ndarray) -> Ids:
        rows = len(moments)
        ids = {name: power_law(rng, size, min(30, size // 3), rows) for name, size in DRAWN.items()}
        in_app = rng.random(rows) < APP_SHARE
        ids["site_id"] = np.where(in_app, 0, 1 + ids["site_id"] % (DRAWN["site_id"] - 1))
        ids["app_id"] = np.where(in_app, 1 + ids["app_id"] % (DRAWN["app_id"] - 1), 0)
        ids["device_id"] *= rng.random(rows) > NO_DEVICE_SHARE
        ids["C20"] *= rng.random(rows) > 0.47
        ids |= {name: self._determined[name][ids[source]] for name, (source, _) in DETERMINED.items()}
        # The published splits are drawn from the whole log: a row may be of any day.
        ids["day"] = rng.integers(0, DAYS, rows)
        ids["hour_of_day"] = np.minimum(rng.triangular(0, 13, 24, rows).astype(np.int64), 23)
        ids["weekday"] = (2 + ids["day"]) % 7  # 21 October 2014 was a Tuesday, Sunday being 0
        return ids

    def signal(self, name: str, ids: Ids) -> np.ndarray:
        return self._scores[name][ids[name]]

    def raw(self, ids: Ids, label: np.ndarray, first_row: int) -> pl.DataFrame:
        row = first_row + np.arange(len(label))
        columns = {name: self._written(name, ids) for name in COLUMNS}
        identity = [str(10_000_000_000_000_000_000 + 433_101_943 * number) for number in row.tolist()]
        return pl.DataFrame({"id": identity, "click": label, **columns})

    def _written(self, name: str, ids: Ids) -> np.ndarray:
        if name == "hour":
            return (FIRST_DAY + ids["day"]) * 100 + ids["hour_of_day"]
        if name == "C20":
            return np.where(ids[name] == 0, -1, WHOLE_NUMBERS[name] + ids[name])
        if name in WHOLE_NUMBERS:
            return WHOLE_NUMBERS[name] + ids[name]
        return _hexadecimal(ids[name], salt=COLUMNS.index(name))


def build_avazu_x4(folder: Path, *, seed: int = 2026, rows: list[int]) -> None:
    """Writes train.csv, valid.csv, test.csv and truth.json; ``rows`` are those of the three splits."""
    counts = checked_rows(seed, rows, ("train", "valid", "test"))
    build_twin(AvazuTwin(seed), folder, seed, counts)


def _hexadecimal(ids: np.ndarray, salt: int) -> np.ndarray:
    """Eight hexadecimal digits an id, another for each id: an odd factor permutes the numbers of 32 bits."""
    scattered = ((ids.astype(np.uint64) * 2_654_435_761 + salt * 374_761_393) % 2**32).astype(">u4")
    return np.frombuffer(scattered.tobytes().hex().encode(), dtype="S8").astype(str)
