"""The twin of TaobaoAd_x1: display advertisements, users' profiles, and what users did in shops before.

Raw format: ``clk,btag_his,cate_his,brand_his,userid,cms_segid,cms_group_id,final_gender_code,age_level,pvalue_level,
shopping_level,occupation,new_user_class_level,adgroup_id,cate_id,campaign_id,customer,brand,price,pid,btag``. An
advertisement determines its category, campaign, customer, brand and price; a user determines the profile. The three
histories are parallel: kind of act (1 to 4), category and brand, at most 50, joined by ``^``. ``btag`` of the row
itself is always 1. ``price`` is standardised, as the published configs, which scale nothing, suggest.
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
from fuxi_plugins.datasets.synthetic.twins.histories import Histories, JoinedTexts

MAX_HISTORY = 50
PROFILE = {  # values by field; zero stands for unknown
    "cms_segid": 97, "cms_group_id": 13, "final_gender_code": 3, "age_level": 7, "pvalue_level": 4,
    "shopping_level": 4, "occupation": 3, "new_user_class_level": 5,
}  # fmt: skip
AD_FIELDS = ("cate_id", "campaign_id", "customer", "brand")


class TaobaoAdTwin(Twin):
    label = "clk"
    click_rate = 0.05
    logit_std = 0.9
    group = "userid"
    effects: ClassVar = {
        ("userid",): 0.08,
        ("adgroup_id",): 0.12,
        ("cate_id",): 0.08,
        ("customer",): 0.06,
        ("brand",): 0.06,
        ("price",): 0.04,
        ("pid",): 0.04,
        ("age_level",): 0.03,
        ("shopping_level",): 0.02,
        ("final_gender_code", "cate_id"): 0.08,
        ("pvalue_level", "price"): 0.06,
        ("taste", "topic"): 0.13,
        ("history", "topic"): 0.20,
    }

    def __init__(self, seed: int, users: int, ads: int):
        rng = generator(seed, "world")
        sizes = {"cate_id": 20 + ads // 70, "campaign_id": ads // 2, "customer": ads // 3, "brand": 20 + ads // 8}
        self._ads = {name: power_law(rng, sizes[name], sizes[name] // 4, ads) for name in AD_FIELDS}
        self._ads["price"] = np.round(rng.standard_normal(ads), 4)
        self._profiles = {name: power_law(rng, size, size // 2, users) for name, size in PROFILE.items()}
        counts = {"userid": users, "adgroup_id": ads, "pid": 2, **sizes, **PROFILE}
        named = dict.fromkeys(name for effect in self.effects for name in effect if name in counts)
        self._scores = {name: hidden_scores(rng, counts[name]) for name in named}
        self._tastes, self._topics = hidden_scores(rng, users), hidden_scores(rng, sizes["cate_id"])
        self._history = Histories.draw(rng, self._tastes, self._topics, MAX_HISTORY)
        acts = 1 + power_law(rng, 4, 0, self._history.items.shape)
        brands = power_law(rng, sizes["brand"], 50, self._history.items.shape)
        self._texts = {
            "btag_his": JoinedTexts(acts.astype(str)),
            "cate_his": JoinedTexts((1 + self._history.items).astype(str)),
            "brand_his": JoinedTexts((1 + brands).astype(str)),
        }

    def draw(self, rng: np.random.Generator, moments: np.ndarray) -> Ids:
        users, ads = len(self._tastes), len(self._ads["price"])
        user = power_law(rng, users, users // 4, len(moments))
        ad = power_law(rng, ads, 100, len(moments))
        return {
            "userid": user,
            "adgroup_id": ad,
            "pid": rng.integers(0, 2, len(moments)),
            "moment": moments,
            **{name: values[ad] for name, values in self._ads.items()},
            **{name: values[user] for name, values in self._profiles.items()},
        }

    def signal(self, name: str, ids: Ids) -> np.ndarray:
        if name == "history":
            return self._history.topic(ids["userid"], ids["moment"])
        if name == "taste":
            return self._tastes[ids["userid"]]
        if name == "topic":
            return self._topics[ids["cate_id"]]
        if name == "price":
            return np.stack([ids["price"], np.abs(ids["price"]) - 0.8], axis=1)
        return self._scores[name][ids[name]]

    def raw(self, ids: Ids, label: np.ndarray, first_row: int) -> pl.DataFrame:
        seen = self._history.seen(ids["userid"], ids["moment"])
        return pl.DataFrame(
            {
                "clk": label,
                **{name: texts.first(ids["userid"], seen) for name, texts in self._texts.items()},
                "userid": 1 + ids["userid"],
                **{name: ids[name] for name in PROFILE},
                "adgroup_id": 1 + ids["adgroup_id"],
                **{name: 1 + ids[name] for name in AD_FIELDS},
                "price": ids["price"],
                "pid": 1 + ids["pid"],
                "btag": np.ones(len(label), np.int64),
            }
        )


def build_taobaoad_x1(folder: Path, *, seed: int = 2026, rows: list[int], users: int = 4_000, ads: int = 8_000) -> None:
    """Writes train.csv, test.csv and truth.json; ``rows`` are those of the two splits."""
    build_twin(TaobaoAdTwin(seed, users, ads), folder, seed, checked_rows(seed, rows, ("train", "test")))
