"""The columns of files that are published without a header, as their publishers name them."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

_BEHAVIOUR = ("user_id", "item_id", "category_id", "behavior", "timestamp")
_CRITEO = ("label", *(f"I{place}" for place in range(1, 14)), *(f"C{place}" for place in range(1, 27)))
_KDD_2012 = (
    *("click", "impression", "display_url", "ad_id", "advertiser_id", "depth", "position"),
    *("query_id", "keyword_id", "title_id", "description_id", "user_id"),
)
_LASTFM_1K = ("user_id", "timestamp", "artist_id", "artist_name", "track_id", "track_name")
_MIND_NEWS = (
    *("news_id", "category", "subcategory", "title", "abstract", "url"),
    *("title_entities", "abstract_entities"),
)


@dataclass(frozen=True)
class Published:
    """One file.

    dataset: that it belongs to.
    file: its name in lower case; ``*`` stands for anything.
    columns: as the publishers call them, in the order of the values; their ids end in ``_id``.
    """

    dataset: str
    file: str
    columns: tuple[str, ...]


PUBLISHED = (
    Published("MovieLens 1M and 10M", "ratings.dat", ("user_id", "movie_id", "rating", "timestamp")),
    Published("MovieLens 1M and 10M", "movies.dat", ("movie_id", "title", "genres")),
    Published("MovieLens 1M", "users.dat", ("user_id", "gender", "age", "occupation", "zip_code")),
    Published("MovieLens 10M", "tags.dat", ("user_id", "movie_id", "tag", "timestamp")),
    Published("Amazon's ratings", "ratings_*.csv*", ("user_id", "item_id", "rating", "timestamp")),
    Published("Taobao's user behaviour", "userbehavior*.csv*", _BEHAVIOUR),
    Published("Yoochoose", "yoochoose-clicks.dat*", ("session_id", "timestamp", "item_id", "category")),
    Published("Criteo's challenge", "train.txt*", _CRITEO),
    Published("Criteo's terabyte", "day_*", _CRITEO),
    Published("KDD Cup 2012", "training.txt*", _KDD_2012),
    Published("KDD Cup 2012", "userid_profile.txt*", ("user_id", "gender", "age")),
    Published("MIND", "behaviors.tsv", ("impression_id", "user_id", "time", "history", "impressions")),
    Published("MIND", "news.tsv", _MIND_NEWS),
    Published("Last.fm 1K", "userid-timestamp-artid*", _LASTFM_1K),
    Published("Gowalla", "loc-gowalla_*.txt*", ("user_id", "time", "latitude", "longitude", "location_id")),
)


def find_published(file: str, first_row: Sequence[str]) -> Published | None:
    """What a file without a header most likely is, by its name and the number of its columns."""
    named = (one for one in PUBLISHED if fnmatchcase(file.lower(), one.file))
    return next((one for one in named if len(one.columns) == len(first_row)), None)
