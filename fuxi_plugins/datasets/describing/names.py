"""What a column's name tells: labels, outcomes, weights, moments, splits, users, items, sessions and histories."""

import re
from collections.abc import Sequence

LABELS = ("label", "click", "clicked", "is_click", "is_clicked", "clk", "target", "y")
_RATING = re.compile(r"(.*_)?(rating|ratings|stars|overall)")  # labels where users and items stand beside them
_ACTIONS = (  # labels where there is no other action
    "conversion converted attributed purchase purchased buy bought install installed download downloaded like liked "
    "subscribed long_view"
)
WEIGHTS = {"weight", "sample_weight", "instance_weight", "importance_weight", "sampling_weight", "propensity_weight"}
# What a user did with the impression, known only after it was shown.
_OUTCOMES = (
    "click clicked clk purchase purchased buy bought order ordered pay paid conversion convert converted cvr cart "
    "add_to_cart like liked follow followed comment commented share shared forward forwarded favorite favourite "
    "collect install installed download downloaded subscribe hate finish finished long_view valid_play "
    "playtime watch_ratio dwell reward rating stars revenue gmv attributed"
)
_USERS = (
    "user users userid username uid member memberid customer customerid visitor visitorid reviewer reviewerid client "
    "account msno"
)
_ITEMS = (
    "item itemid iid aid ad adid adgroup creative video videoid photo movie movieid film product productid asin sku "
    "goods news newsid article doc document song track artist app page book isbn poi listing content hotel recipe "
    "business game gameid"
)
_REQUESTS = "session impression imp request req auction bid slate pageview page_view visit trace display search srch"
_MAY_BE_SPLITS = {"set", "usage", "phase"}
_SPLIT = re.compile(
    "((data|dataset|cv|k|train_test)_)?(split|splits|fold|folds|kfold|subset|partition)(_(id|idx|no|name))?"
)
_SPLIT_FLAG = re.compile(
    "(is|in|is_in)_((?P<train>train|training)|(?P<valid>valid|validation|val)"
    "|(?P<test>test|testing|holdout|heldout|oot))(_set)?"
)
# When a user or an item came into being or will end, which no row is shown at.
_ORIGINS = (
    "birth birthday birthdate born dob signup sign_up register registered registration join joined first first_seen "
    "publish published publication pub release released expire expires expired expiry expiration"
)
_CHANGES = "create created creation update updated modify modified modification last last_seen"
_HISTORIES = (
    "hist history histories seq sequence clicked viewed browsed bought purchased visited recent previous past last "
    "behavior behaviors behaviour behaviours clicks items liked"
)


def _any_of(words: str) -> str:
    return f"({words.replace(' ', '|')})"


_OUTCOME = re.compile(
    rf"((is_|has_|label_|y_)?{_any_of(_OUTCOMES)}|(.*_)?(play|watch|stay|dwell|view|read)_time)"
    r"(_ms|_sec|_seconds|_s|_ratio|_label|_flag|_amount|_value)?"
)
_ACTION = re.compile(rf"((is|has)_)?{_any_of(_ACTIONS)}(_label|_flag)?")
_MOMENT = re.compile(r"(.*_)?(timestamp|time|date|datetime|ts|[a-z]+_at|time_stamp)(_ms|_s|_us|_sec)?")
_AT = "_(timestamp|time|date|datetime|ts|at|on|day)(_(ms|us|s|sec))?"
_ORIGINS_ALONE = "birthday birthdate date_of_birth dob first_seen released published joined"
_ORIGIN = re.compile(rf"(.*_)?({_any_of(_ORIGINS)}(_.*)?{_AT}|{_any_of(_ORIGINS_ALONE)})")
_CHANGE = re.compile(rf"(.*_)?({_any_of(_CHANGES)}(_.*)?{_AT}|last_seen|created|updated|modified)")
_AMOUNTS = (
    "duration length size bytes width height distance price cost amount income salary budget balance age count counts "
    "cnt num total views plays followers population"
)
_AMOUNT = re.compile(rf"(.*_)?{_any_of(_AMOUNTS)}(_(ms|us|s|sec|seconds|minutes|hours|days|km|m|usd|eur))?")
_NUMBERED = "(_?(id|idx|no|code|uuid|guid|key|hash))?"
_USER = re.compile(rf"(.*_)?{_any_of(_USERS)}{_NUMBERED}")
_ITEM = re.compile(rf"(.*_)?{_any_of(_ITEMS)}{_NUMBERED}")
_REQUEST = re.compile(rf"(.*_)?{_any_of(_REQUESTS)}_?(id|idx|no|key|uuid)|session")
_HISTORY = re.compile(rf"(.*_)?{_any_of(_HISTORIES)}(_.*)?")
_ID_WORDS = {"id", "idx", "no", "code", "uuid", "guid", "key", "hash", ""}


def _plain(name: str) -> str:
    """Lower case, words joined by underscores: ``playTime`` and ``Play-Time`` are ``play_time``."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return re.sub(r"[^a-z0-9]+", "_", spaced.lower()).strip("_")


def made_up(place: int) -> str:
    """The name of a column in a file without a header; places count from 1."""
    return f"column_{place}"


def is_made_up(name: str) -> bool:
    return bool(re.fullmatch(r"column_\d+", name))


def find_label_name(columns: Sequence[str], asked: str | None) -> str | None:
    """The label's name among those of columns: ``asked`` or, with None, a usual one; None where it is not there.

    Where none has a usual name, it is the only action (``is_attributed``) or the only rating beside a user and an item.
    """
    if asked is not None:
        return asked if asked in columns else None
    usual = next(iter(usual_labels(columns)), None)
    actions = [name for name in columns if _ACTION.fullmatch(_plain(name))]
    ratings = [name for name in columns if _RATING.fullmatch(_plain(name))] if is_of_users_and_items(columns) else []
    return usual or next((found[0] for found in (actions, ratings) if len(found) == 1), None)


def usual_labels(columns: Sequence[str]) -> list[str]:
    """Those of the columns that have a usual name of labels, the likeliest first."""
    by_name = {name.casefold(): name for name in reversed(columns)}
    return [by_name[name] for name in LABELS if name in by_name]


def is_rating(name: str) -> bool:
    return bool(_RATING.fullmatch(_plain(name)))


def is_of_users_and_items(columns: Sequence[str]) -> bool:
    """Whether the rows most likely say what users did with items."""
    return any(map(is_user, columns)) and any(map(is_item, columns))


def is_weight(name: str) -> bool:
    return _plain(name) in WEIGHTS


def is_outcome(name: str) -> bool:
    return bool(_OUTCOME.fullmatch(_plain(name)))


def is_moment(name: str) -> bool:
    return bool(_MOMENT.fullmatch(_plain(name)))


def is_timestamp(name: str) -> bool:
    """A moment, even if nobody knows what its number counts from."""
    return _plain(name) in {"timestamp", "time_stamp"}


def is_amount(name: str) -> bool:
    """What is counted or measured, so that near values mean nearly the same."""
    return bool(_AMOUNT.fullmatch(_plain(name)))


def is_day_or_hour(name: str) -> bool:
    """A moment (``14102100``) or a part of one (``23``): the values tell which."""
    return _plain(name) in {"dt", "day", "hour"}


def is_hour(name: str) -> bool:
    """The hour of a day."""
    return _plain(name).split("_")[-1] in {"hour", "hours", "hr"} or _plain(name) == "hour_of_day"


def is_weekday(name: str) -> bool:
    return _plain(name) in {"weekday", "week_day", "dow", "day_of_week", "wday"}


def is_time_of_outcome(name: str) -> bool:
    """When a user did something with the row, as ``click_time`` or ``purchased_at``."""
    what = re.sub(r"_(timestamp|time|date|datetime|ts|at)(_(ms|us|s|sec))?$", "", _plain(name))
    return what != _plain(name) and is_outcome(what)


def is_time_of_origin(name: str) -> bool:
    """When a user or an item came into being or ends, as ``birth_date``, ``published_at`` and ``first_seen``."""
    return bool(_ORIGIN.fullmatch(_plain(name)))


def is_time_of_change(name: str) -> bool:
    """When something was written down or last changed, which may be the row: ``created_at``, ``last_update_time``."""
    return bool(_CHANGE.fullmatch(_plain(name)))


def is_user(name: str) -> bool:
    return bool(_USER.fullmatch(_plain(name)))


def is_request(name: str) -> bool:
    """What numbers the occasions on which items were shown: sessions, requests, impressions."""
    return bool(_REQUEST.fullmatch(_plain(name)))


def is_split(name: str) -> bool:
    """What says which split a row belongs to, and nothing else."""
    return bool(_SPLIT.fullmatch(_plain(name))) or split_of_flag(name) is not None


def may_be_split(name: str) -> bool:
    """What says which split a row belongs to if its values are words for splits, as ``set`` and ``phase``."""
    return is_split(name) or _plain(name) in _MAY_BE_SPLITS


def split_of_flag(name: str) -> str | None:
    """The split whose rows a column marks with 1, as ``is_test``; None of other columns."""
    found = _SPLIT_FLAG.fullmatch(_plain(name))
    return next((split for split, word in found.groupdict().items() if word), None) if found else None


def is_id(name: str) -> bool:
    """Of a user, an item or anything else that is numbered."""
    return is_user(name) or is_item(name) or _plain(name).split("_")[-1] in {"id", "uid", "uuid", "guid", "idx", "key"}


def is_item(name: str) -> bool:
    return bool(_ITEM.fullmatch(_plain(name)))


def is_history(name: str) -> bool:
    return bool(_HISTORY.fullmatch(_plain(name)))


def is_bare_id(name: str) -> bool:
    """An id without a word for what it numbers, which the name of its file may say."""
    return _plain(name) in _ID_WORDS


def are_one(one: str, other: str) -> bool:
    """Whether two names may mean the same ids: ``userid`` and ``user``, ``movieId`` and ``movie_id``, item and news."""
    cores = [_plain(name).replace("_", "").removesuffix("id") for name in (one, other)]
    return (cores[0] == cores[1] != "") or any(is_one(one) and is_one(other) for is_one in (is_user, is_item))


def tells_of(file: str, column: str) -> bool:
    """Whether a file is named after what a column numbers, as ``users.csv`` and ``user_id``."""
    words = {word.rstrip("s") for word in _plain(file).split("_")}
    of_kind = (any(map(is_one, words)) and is_one(column) for is_one in (is_user, is_item))
    return alike(file, column) or any(of_kind)


def alike(one: str, other: str) -> bool:
    """Whether two names share a word beside ``id``: ``cate_hist`` and ``cate_id``."""
    words = [{word.rstrip("s") for word in _plain(name).split("_")} - _ID_WORDS for name in (one, other)]
    return bool(words[0] & words[1])
