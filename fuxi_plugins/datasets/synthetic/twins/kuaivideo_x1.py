"""The twin of KuaiVideo_x1: users, short videos with vectors of their pictures, and what users clicked and did not.

Raw format: ``timestamp,user_id,item_id,is_click,is_like,is_follow,pos_items,neg_items`` in order of time, histories
joined by ``^``, at most 100 items, empty at first; and ``item_visual_emb_dim64.h5``, with ``key`` the item and
``value`` its vector, also for items that occur in no row. The vectors tell the items' topics, with noise.
"""

from pathlib import Path
from typing import ClassVar

import h5py
import numpy as np
import polars as pl

from fuxi_plugins.datasets.synthetic.twins.engine import (
    RANK,
    Ids,
    Twin,
    build_twin,
    checked_rows,
    generator,
    hidden_scores,
    power_law,
)
from fuxi_plugins.datasets.synthetic.twins.histories import Histories, JoinedTexts

MAX_HISTORY = 100
VECTOR_SIZE = 64
VECTORS = "item_visual_emb_dim64.h5"


class KuaiVideoTwin(Twin):
    label = "is_click"
    click_rate = 0.20
    logit_std = 1.2
    group = "user"
    effects: ClassVar = {
        ("user_score",): 0.20,
        ("item_score",): 0.22,
        ("topic",): 0.08,
        ("taste", "topic"): 0.20,
        ("liked", "topic"): 0.20,
        ("disliked", "topic"): 0.10,
    }

    def __init__(self, seed: int, users: int, items: int):
        rng = generator(seed, "world")
        self._tables = {
            "user_score": hidden_scores(rng, users),
            "item_score": hidden_scores(rng, items),
            "taste": hidden_scores(rng, users),
            "topic": hidden_scores(rng, items),
        }
        tastes, topics = self._tables["taste"], self._tables["topic"]
        self._histories = {
            "liked": Histories.draw(rng, tastes, topics, MAX_HISTORY),
            "disliked": Histories.draw(rng, tastes, topics, MAX_HISTORY, liked=False),
        }
        self._texts = {name: JoinedTexts(drawn.items.astype(str)) for name, drawn in self._histories.items()}
        view = rng.standard_normal((RANK, VECTOR_SIZE), dtype=np.float32)
        noise = rng.standard_normal((items, VECTOR_SIZE), dtype=np.float32)
        self._vectors = (topics @ view + 0.5 * noise).astype(np.float32)

    def draw(self, rng: np.random.Generator, moments: np.ndarray) -> Ids:
        users, items = len(self._tables["taste"]), len(self._tables["topic"])
        return {
            "user": power_law(rng, users, users // 4, len(moments)),
            "item": power_law(rng, items, 50, len(moments)),
            "moment": moments,
            "likes": rng.random(len(moments)),  # of those who click, a few like and fewer follow
        }

    def signal(self, name: str, ids: Ids) -> np.ndarray:
        if name in self._histories:
            return self._histories[name].topic(ids["user"], ids["moment"])
        return self._tables[name][ids["user" if name in ("user_score", "taste") else "item"]]

    def raw(self, ids: Ids, label: np.ndarray, first_row: int) -> pl.DataFrame:
        users = ids["user"]
        seen = {name: drawn.seen(users, ids["moment"]) for name, drawn in self._histories.items()}
        return pl.DataFrame(
            {
                "timestamp": 1_500_000_000 + 3 * (first_row + np.arange(len(label))),
                "user_id": users,
                "item_id": ids["item"],
                "is_click": label,
                "is_like": (label * (ids["likes"] < 0.05)).astype(np.int64),
                "is_follow": (label * (ids["likes"] < 0.01)).astype(np.int64),
                "pos_items": self._texts["liked"].first(users, seen["liked"]),
                "neg_items": self._texts["disliked"].first(users, seen["disliked"]),
            }
        )

    def write_extra(self, folder: Path) -> None:
        with h5py.File(folder / VECTORS, "w", track_order=False) as file:
            file.create_dataset("key", data=np.arange(len(self._vectors)), track_times=False)
            file.create_dataset("value", data=self._vectors, track_times=False)


def build_kuaivideo_x1(
    folder: Path, *, seed: int = 2026, rows: list[int], users: int = 2_000, items: int = 20_000
) -> None:
    """Writes train.csv, test.csv, the items' vectors and truth.json; ``rows`` are those of the two splits."""
    build_twin(KuaiVideoTwin(seed, users, items), folder, seed, checked_rows(seed, rows, ("train", "test")))
