"""Users with tastes and their histories, for the twins of datasets with sequences."""

from dataclasses import dataclass

import numpy as np

from fuxi_plugins.datasets.synthetic.twins.engine import RANK, power_law


@dataclass(frozen=True)
class Histories:
    """One history a user: the items, and how much of it a row sees.

    A row shows a window that ends where its moment in the log says, so histories grow from nothing; the window's mean
    topic is a signal of the truth.
    """

    items: np.ndarray  # (users, length), oldest first
    mean_topics: np.ndarray  # (users, length + 1, RANK): of the first 0, 1, ... items; zero for none

    @property
    def length(self) -> int:
        return self.items.shape[1]

    def seen(self, users: np.ndarray, moments: np.ndarray) -> np.ndarray:
        """How many items of each row's user are in its history, shape (rows,): users differ in how active they are."""
        activity = 0.2 + 1.3 * ((users * 2_654_435_761) % 1000) / 1000
        return np.minimum((moments * activity * self.length).astype(np.int64), self.length)

    def topic(self, users: np.ndarray, moments: np.ndarray) -> np.ndarray:
        """Mean topic of the history that each row shows, shape (rows, RANK)."""
        return self.mean_topics[users, self.seen(users, moments)]

    @classmethod
    def draw(
        cls,
        rng: np.random.Generator,
        tastes: np.ndarray,
        topics: np.ndarray,
        length: int,
        liked: bool = True,
        candidates: int = 4,
        flatness: float = 20,
    ) -> "Histories":
        """Each item is the one of a few popular candidates that suits the user best, or least if not ``liked``.

        Args:
            tastes: (users, RANK).
            topics: (items, RANK), the most popular item first.
        """
        drawn = power_law(rng, len(topics), flatness, (len(tastes), length, candidates))
        suits = np.einsum("ur,ulcr->ulc", tastes, topics[drawn])
        chosen = suits.argmax(axis=2) if liked else suits.argmin(axis=2)
        items = np.take_along_axis(drawn, chosen[..., None], axis=2)[..., 0]
        sums = np.zeros((len(tastes), length + 1, RANK))
        sums[:, 1:] = np.cumsum(topics[items], axis=1)
        return cls(items, sums / np.maximum(np.arange(length + 1), 1)[:, None])


class JoinedTexts:
    """The items of each user's history joined by ``^`` once, so that a row's part is a slice of one text."""

    def __init__(self, texts: np.ndarray):
        """``texts``: (users, length) of str."""
        self._joined = ["^".join(row) for row in texts.tolist()]
        lengths = np.char.str_len(texts) + 1
        self._ends = np.concatenate([np.zeros((len(texts), 1), np.int64), np.cumsum(lengths, axis=1)], axis=1)

    def first(self, users: np.ndarray, seen: np.ndarray) -> list[str]:
        """The first items of each user, as many as ``seen`` says: shape (rows,)."""
        ends = np.maximum(self._ends[users, seen] - 1, 0)
        return [self._joined[user][:end] for user, end in zip(users.tolist(), ends.tolist(), strict=True)]
