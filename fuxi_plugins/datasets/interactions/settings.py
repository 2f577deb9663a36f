"""What a dataset config says under ``from_interactions``: how rows are made from a log of what users did."""

from typing import Literal

from pydantic import Field, StrictInt, field_validator, model_validator

from fuxi_plugins.core.explain import Strict
from fuxi_plugins.datasets.columns import inside_folder
from fuxi_plugins.datasets.label_rule import LabelRule
from fuxi_plugins.datasets.reading.forms import DataFormat, Encoding, FileFormat, Impressions

ROW_COLUMNS = ("label", "user_id", "item_id", "timestamp", "history")  # that every made row has


class Table(Strict):
    """How a file of rows is written; the keys are those of a dataset config."""

    data_format: DataFormat | None = None
    separator: str | None = Field(default=None, min_length=1)
    column_names: list[str] | None = None
    encoding: Encoding = "utf-8"
    quotes: bool = True
    impressions: Impressions | None = None

    @property
    def file_format(self) -> FileFormat:
        names = tuple(self.column_names) if self.column_names else None
        return FileFormat(self.data_format, self.separator, names, self.encoding, self.quotes, self.impressions)


class Positive(Strict):
    """Which interactions are positive, such as a rating of ``>= 4``."""

    column: str
    rule: str

    @field_validator("rule")
    @classmethod
    def _can_be_read(cls, rule: str) -> str:
        LabelRule.parse(rule)
        return rule


class Log(Table):
    """The interactions.

    file: one file or several.
    form: ``table``: a row an interaction; ``sequences``: a line a user, the user's id and then items in order of time.
    user, item, time: the columns of a table; time holds numbers or dates.
    positive: None: every interaction is positive; of ``impressions``, what was clicked.
    others: what is not positive is left out, or is a negative of its own. Either way no negative is drawn from it.
    context: columns of a table that a row keeps; a drawn negative has those of its positive.
    """

    file: str | list[str]
    form: Literal["table", "sequences"] = "table"
    user: str = "user_id"
    item: str = "item_id"
    time: str = "timestamp"
    positive: Positive | None = None
    others: Literal["left_out", "negatives"] = "left_out"
    context: list[str] = Field(default=[])

    @field_validator("file")
    @classmethod
    def _inside_the_folder(cls, file: str | list[str]) -> str | list[str]:
        for name in [file] if isinstance(file, str) else file:
            inside_folder(name)
        return file

    @model_validator(mode="after")
    def _fits_together(self) -> "Log":
        if self.form == "sequences" and (self.positive or self.context or self.impressions):
            raise ValueError(
                "a log of sequences holds items alone, so positive, context and impressions need form: table"
            )
        if self.others == "negatives" and not self.what_is_positive:
            raise ValueError("others: negatives needs positive, which says what the others are")
        return self

    @property
    def what_is_positive(self) -> Positive | None:
        """None: every interaction."""
        clicked = Positive(column=self.impressions.label, rule="== 1") if self.impressions else None
        return self.positive or clicked

    @property
    def files(self) -> list[str]:
        return [self.file] if isinstance(self.file, str) else self.file


class Attributes(Table):
    """What is known of each item or user.

    form: ``table``: rows with a ``key`` column; ``mapping``: one JSON object of id to a value, a list, or an object.
    columns: those to join. Of a mapping to objects its keys; else one name for the value.
    """

    file: str
    form: Literal["table", "mapping"] = "table"
    key: str | None = None
    columns: list[str] = Field(min_length=1)

    @field_validator("file")
    @classmethod
    def _inside_the_folder(cls, file: str) -> str:
        return inside_folder(file)

    @model_validator(mode="after")
    def _fits_together(self) -> "Attributes":
        if (self.key is None) != (self.form == "mapping"):
            raise ValueError("a table of attributes has a key, the column of ids; a mapping has none")
        return self


class DrawnNegatives(Strict):
    """Items that stand in for what a user was shown and passed over.

    per_positive: how many follow each positive.
    by: ``uniform``: every item is as likely; ``popularity``: in proportion to the positives of train.
    avoid: ``all``: no item of the user's whole log; ``past``: none that the user had met up to the positive's moment.
    """

    per_positive: StrictInt = Field(default=1, ge=0)
    by: Literal["uniform", "popularity"] = "uniform"
    avoid: Literal["all", "past"] = "all"
    seed: StrictInt = Field(default=2026, ge=0)


class RowSplit(Strict):
    """Which split each row belongs to; a drawn negative follows its positive.

    by: ``leave_last_out``: of each user the last row is test, the one before it valid; ``time``: the latest rows are
        test, those before them valid, and rows of one moment stay together; ``random``: each
        interaction is drawn, and histories hold those of train alone; ``file``: as the log's files say.
    valid, test: by time and at random the shares of the rows that the log gives; by file the names of two of the log's
        files, of which others are train's.
    seed: of the draw at random.
    """

    by: Literal["leave_last_out", "time", "random", "file"]
    valid: float | str | None = None
    test: float | str | None = None
    seed: StrictInt = Field(default=2026, ge=0)

    @model_validator(mode="after")
    def _fits_together(self) -> "RowSplit":
        given = (self.valid, self.test)
        if self.by == "leave_last_out" and given != (None, None):
            raise ValueError("by: leave_last_out takes no valid and test: each user has one row of either")
        if self.by == "file" and not all(isinstance(name, str) for name in given):
            raise ValueError("by: file needs valid and test, each a file of the log")
        if self.by in ("time", "random"):
            shares = [share for share in given if isinstance(share, float) and 0 < share < 1]
            if len(shares) != 2 or sum(shares) >= 1:
                raise ValueError(
                    f"by: {self.by} needs valid and test, the shares of rows, which must leave rows for train"
                )
        return self

    @property
    def shares(self) -> tuple[float, float]:
        """Of valid and test, of a split by time or at random."""
        assert isinstance(self.valid, float)
        assert isinstance(self.test, float)
        return self.valid, self.test


class FromInteractions(Strict):
    """How the rows of a dataset are made from a log.

    A row has the columns ``label``, ``user_id``, ``item_id``, ``timestamp`` (of a log of sequences the place in the
    sequence, from 1), ``history``, and those of ``log.context``, ``items`` and ``users``. A history joins by ``^`` the
    user's latest positives of moments before the row's.

    history: how many items a history holds at most.
    min_history: rows with fewer are left out.
    """

    log: Log
    items: Attributes | None = None
    users: Attributes | None = None
    history: StrictInt = Field(default=50, ge=0)
    min_history: StrictInt = Field(default=1, ge=0)
    negatives: DrawnNegatives = DrawnNegatives()
    split: RowSplit

    @model_validator(mode="after")
    def _fits_together(self) -> "FromInteractions":
        names = [*ROW_COLUMNS, *self.log.context]
        names += [name for table in (self.items, self.users) if table for name in table.columns]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"each column of the rows needs a name of its own, but {', '.join(twice)} stands twice")
        if self.split.by == "file" and not {self.split.valid, self.split.test} < set(self.log.files):
            raise ValueError("split by file names two of the log's files, and leaves one for train")
        if not self.negatives.per_positive and self.log.others == "left_out":
            raise ValueError("without drawn negatives the rows need others: negatives, or all labels are 1")
        if self.min_history > self.history:
            raise ValueError("min_history must be at most history")
        return self

    @property
    def files(self) -> list[str]:
        """Every file that the rows are made from."""
        return list(dict.fromkeys([*self.log.files, *(t.file for t in (self.items, self.users) if t)]))

    @property
    def in_words(self) -> str:
        """The protocol, as boards say it."""
        positive = self.log.what_is_positive
        said = ["Rows are made from a log of interactions."]
        said += [f"A {positive.column} {positive.rule} is positive." if positive else "Each interaction is positive."]
        if positive:
            said += ["The others are negatives." if self.log.others == "negatives" else "The others are left out."]
        if drawn := self.negatives.per_positive:
            law = "uniformly" if self.negatives.by == "uniform" else "in proportion to the positives of train"
            barred = "never used" if self.negatives.avoid == "all" else "had not used up to then"
            count = "one negative is" if drawn == 1 else f"{drawn} negatives are"
            said += [
                f"For each positive {count} drawn {law} from the items that the user {barred} "
                f"(seed {self.negatives.seed}), so an AUC tells used items from drawn ones, not from those shown."
            ]
        said += [f"A history holds at most {self.history} positives, all before the moment of the row."]
        if self.min_history:
            least = "an empty history" if self.min_history == 1 else f"a history of less than {self.min_history}"
            said += [f"Rows with {least} are left out."]
        match self.split.by:
            case "leave_last_out":
                said += ["Of each user the last row is test and the one before it valid; this is no split by time."]
            case "time":
                valid, test = self.split.shares
                said += [f"The latest {test:.0%} of the rows are test, the {valid:.0%} before them valid."]
            case "random":
                valid, test = self.split.shares
                said += [
                    f"At random {test:.0%} of the interactions are test and {valid:.0%} valid "
                    f"(seed {self.split.seed}), and histories hold those of train alone; this is no split by time."
                ]
            case "file":
                said += [f"Valid is {self.split.valid}, test {self.split.test}."]
        return " ".join(said)
