"""The table of a paper in every format, and from Python.

from fuxi_plugins.reporting.table import paper_table

table = paper_table(["frappe_board", "ml100k_board"], metrics=["AUC", "RelaImpr"], baselines=["DNN"])
table.to_pandas()
table.to_latex(columns="one", label="tab:overall")
"""

import html as markup
import json
import re
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from tabulate import tabulate

from fuxi_plugins.analysis.measures import Measure, find_measure
from fuxi_plugins.analysis.table import RANK_DIGITS, Entry, Table, build_table
from fuxi_plugins.core.cleaning import csv_text, html, json_value, latex, markdown
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.datasets.catalogue import logs_of_datasets
from fuxi_plugins.records.metrics import usual_metrics
from fuxi_plugins.reporting.boards import find_boards, named_boards
from fuxi_plugins.reporting.tabular import WIDTHS, TexCell, TexColumn, tabular

if TYPE_CHECKING:
    import pandas

TABLE_FORMATS = ("md", "tex", "csv", "json", "html")
MISSING = "–"
STAR = "*"


def paper_table(
    boards: Sequence[str] = (),
    *,
    datasets: Sequence[str] = (),
    models: Sequence[str] = (),
    metrics: Sequence[str] | Mapping[str, Sequence[str]] = tuple(usual_metrics()),
    baselines: Sequence[str] = (),
    digits: int = 4,
    with_rows: Sequence[str] = (),
    with_ranks: bool = True,
    workspace: Workspace | None = None,
) -> "PaperTable":
    """The table of some boards, or of some datasets.

    Args:
        boards: names of suites; a suite of several datasets has a board for each.
        datasets: instead of boards; of each the board that has most of the models.
        models: rows, in this order. Default: all, the best first.
        metrics: columns of each dataset: metrics, ``RelaImpr`` and ``Impr``, or these of a metric, ``RelaImpr(gAUC)``.
            A mapping names them dataset by dataset.
        baselines: models; a star says what is significantly better than the best of them, and improvements are
            relative to the first.
        digits: decimals of a metric.
        with_rows: experiments that stand on none of the boards, as a model of your own; one more row each.
        with_ranks: whether several datasets give a column of average ranks.
        workspace: where configs and results lie. Default: here.

    Raises:
        UserError: both or neither of boards and datasets, an unknown name, a dataset that stands twice, or a further
            row on none of the datasets.
    """
    workspace = workspace or Workspace.locate(None, None)
    if bool(boards) == bool(datasets):
        raise UserError("a table is of boards or of datasets; name one or the other.")
    said: list[str] = []
    if boards:
        found = named_boards(boards, workspace, with_rows)
    elif with_rows:
        raise UserError("further rows stand beside those of named boards; name boards instead of datasets.")
    else:
        found, said = find_boards(datasets, [*models, *baselines], workspace)
    measures: list[Measure] | dict[str, list[Measure]]
    if isinstance(metrics, Mapping):
        measures = {dataset: [find_measure(name) for name in names] for dataset, names in metrics.items()}
    else:
        measures = [find_measure(name) for name in metrics]
    logs = logs_of_datasets(workspace.all_configs)
    table = build_table(found, measures, models, baselines, digits, with_ranks=with_ranks, logs=logs)
    return PaperTable(table, said)


@dataclass(frozen=True)
class Shown:
    """A cell: its text, with 1 for the best and 2 for the second best, a star, or the mark of a missing value."""

    text: str
    place: int | None = None
    star: bool = False
    hole: str = ""


@dataclass(frozen=True)
class PaperTable:
    """
    Args:
        table: the values.
        said: how the boards were chosen, where that was left open.
    """

    table: Table
    said: Sequence[str] = ()

    def render(self, form: str, columns: str = "one", caption: str = "", label: str = "tab:results") -> str:
        """The table in one of ``TABLE_FORMATS``; a csv, and JSON, have all datasets in one."""
        if form == "tex":
            return self.to_latex(columns, caption, label)
        return {"md": self.to_markdown, "csv": self.to_csv, "json": self.to_json, "html": self.to_html}[form]()

    def to_pandas(self) -> "pandas.DataFrame":
        """A row a model; the columns are pairs of dataset and measure, improvements as shares, missing values NaN."""
        import pandas  # takes long to load

        names = [(column.dataset, column.measure.name) for column in self.table.columns]
        values = {model: [entry.value for entry in entries] for model, entries in self.table.entries.items()}
        if self.table.average_ranks:
            names.append(("all", "average rank"))
            values = {model: [*found, self.table.average_ranks[model].value] for model, found in values.items()}
        return pandas.DataFrame.from_dict(
            values, orient="index", dtype=float, columns=pandas.MultiIndex.from_tuples(names)
        ).rename_axis(index="model")

    def to_latex(self, columns: str = "one", caption: str = "", label: str = "tab:results") -> str:
        """A float with booktabs that fits one column, or both ("two") of an article.

        Raises:
            UserError: a width that is neither, or a label that LaTeX would not take.
        """
        if columns not in WIDTHS:
            raise UserError(f"a table is one column wide or two, but {columns!r} was asked for.")
        if not re.fullmatch(r"[\w:.-]+", label, re.ASCII):
            raise UserError(f"a label must be of letters, digits and : . - _, but it is {label!r}.")
        space_for = [STAR if any(row[place].star for row in self._rows) else "" for place in range(len(self._headings))]
        drawn = [
            TexColumn(heading, [_tex(row[place], space_for[place]) for row in self._rows], "r" if place else "l", group)
            for place, (group, heading) in enumerate(self._headings)
        ]  # fmt: skip
        legend = [f"$^{{{mark}}}$ {latex(text)}" if mark else latex(text) for mark, text in self.legend]
        environment = "table" if columns == "one" else "table*"
        return "\n".join(
            [
                "% needs \\usepackage{booktabs}",
                rf"\begin{{{environment}}}[t]",
                r"\centering",
                rf"\caption{{{latex(caption or self.caption)}}}",
                rf"\label{{{label}}}",
                *tabular(drawn, WIDTHS[columns]),
                r"\par\smallskip",
                r"\begin{minipage}{\linewidth}\raggedright\fontsize{7}{8.4}\selectfont",
                *(line + r"\par" for line in legend),
                r"\end{minipage}",
                rf"\end{{{environment}}}",
            ]
        ) + "\n"  # fmt: skip

    def to_markdown(self) -> str:
        header = [markdown(f"{group} {heading}".strip()) for group, heading in self._headings]
        rows = [[_md(cell) for cell in row] for row in self._rows]
        alignment = ["left", *["right"] * (len(header) - 1)]
        drawn = tabulate(rows, headers=header, tablefmt="pipe", disable_numparse=True, colalign=alignment)
        legend = [f"- {f'<sup>{mark}</sup> ' if mark else ''}{markdown(text)}" for mark, text in self.legend]
        return f"{markdown(self.caption)}\n\n{drawn}\n\n" + "\n".join(legend) + "\n"

    def to_html(self) -> str:
        """A table element, to be put into a page."""

        def clean(text: str) -> str:
            return markup.escape(html(text))

        groups = "".join(f"<th colspan={count}>{clean(name)}</th>" for name, count in self._groups)
        headings = "".join(f"<th>{clean(heading)}</th>" for _, heading in self._headings)
        lines = [f"<table>\n<caption>{clean(self.caption)}</caption>", f"<thead>\n<tr>{groups}</tr>"]
        lines += [f"<tr>{headings}</tr>\n</thead>\n<tbody>"]
        for model, *cells in self._rows:
            lines.append(f"<tr><th>{clean(model.text)}</th>" + "".join(f"<td>{_html(c)}</td>" for c in cells) + "</tr>")
        legend = "<br>\n".join(f"{f'<sup>{mark}</sup> ' if mark else ''}{clean(text)}" for mark, text in self.legend)
        foot = f"<tfoot>\n<tr><td colspan={len(self._headings)}>{legend}</td></tr>\n</tfoot>\n</table>\n"
        return "\n".join([*lines, "</tbody>", foot])

    def to_csv(self) -> str:
        """A line for each model, dataset and measure, in full precision."""
        rows = self._tidy
        return csv_text(list(rows[0]), (row.values() for row in rows))

    def to_json(self) -> str:
        plain = {
            "caption": self.caption,
            "baselines": self.table.baselines,
            "legend": [{"mark": mark, "text": text} for mark, text in self.legend],
            "logs": dict(self.table.logs),
            "average_ranks": {model: entry.value for model, entry in (self.table.average_ranks or {}).items()},
            "values": self._tidy,
        }
        return json.dumps(json_value(plain), indent=1) + "\n"

    @property
    def caption(self) -> str:
        names = list(dict.fromkeys(column.measure.name for column in self.table.columns))
        return f"Test {', '.join(names)} on {', '.join(self.table.datasets)}; metrics are means over seeds."

    @cached_property
    def legend(self) -> list[tuple[str, str]]:
        """What the marks mean and what a reader must know, each with its mark or none."""
        table = self.table
        lines = [("", "Bold: best; underlined: second best, as the values are shown.")]
        named = f"significantly better than the best baseline (of {', '.join(table.baselines)})."
        if any(entry.better for entries in table.entries.values() for entry in entries):
            lines.append((STAR, f"S{named[1:]}"))
        elif self._has_comparisons:
            lines.append(("", f"No model is {named}"))
        relative = {column.measure.name: column.measure for column in table.columns if column.measure.relative}
        for name, measure in relative.items():
            lines.append(("", f"{name}: {measure.formula}, in per cent; the base is {table.baselines[0]}."))
        if table.average_ranks:
            lines.append(("", self._about_ranks))
        lines += [("", text) for text in [*table.notes, *self.said]]
        return lines + [(mark, f"{text[:1].upper()}{text[1:]}.") for text, mark in self._holes.items()]

    @property
    def _has_comparisons(self) -> bool:
        """Whether some value that is no baseline's stands in a column that has one of a baseline."""
        return any(
            column.best_baseline and entry.value is not None
            for model, entries in self.table.entries.items()
            if model not in self.table.baselines
            for column, entry in zip(self.table.columns, entries, strict=True)
        )

    @property
    def _about_ranks(self) -> str:
        said = f"Rank: mean over datasets of the rank by {self.table.ranked_by}, among models with all results."
        logs = len(set(self.table.logs.values()))
        if logs == len(self.table.datasets):
            return said
        return f"{said} Datasets of one log are averaged first: {len(self.table.datasets)} datasets are of {logs} logs."

    @cached_property
    def _holes(self) -> dict[str, str]:
        """The marks of the reasons for missing values."""
        letters = [*string.ascii_lowercase, *(str(number) for number in range(1, len(self.table.reasons()) + 1))]
        return dict(zip(self.table.reasons(), letters, strict=False))

    @cached_property
    def _headings(self) -> list[tuple[str, str]]:
        """Group and heading of each column."""
        ranks = [("", "Rank")] if self.table.average_ranks else []
        return [("", "Model"), *((c.dataset, c.measure.heading) for c in self.table.columns), *ranks]

    @cached_property
    def _groups(self) -> list[tuple[str, int]]:
        """Each group's name and its number of columns; a column without a group is one by itself."""
        found: list[tuple[str, int]] = []
        for group, _ in self._headings:
            if group and found and found[-1][0] == group:
                found[-1] = group, found[-1][1] + 1
            else:
                found.append((group, 1))
        return found

    @cached_property
    def _rows(self) -> list[list[Shown]]:
        rows = []
        for model, entries in self.table.entries.items():
            cells = [self._shown(entry, self.table.text(model, place)) for place, entry in enumerate(entries)]
            if self.table.average_ranks:
                rank = self.table.average_ranks[model]
                cells.append(self._shown(rank, MISSING if rank.value is None else f"{rank.value:.{RANK_DIGITS}f}"))
            rows.append([Shown(model), *cells])
        return rows

    def _shown(self, entry: Entry, text: str) -> Shown:
        return Shown(text, entry.place, entry.better, self._holes[entry.reason] if entry.value is None else "")

    @cached_property
    def _tidy(self) -> list[dict[str, object]]:
        """A mapping for each model, dataset and measure."""
        return [
            {
                "model": model,
                "dataset": column.dataset,
                "board": column.board,
                "measure": column.measure.name,
                "value": entry.value,
                "std": entry.std,
                "seeds": entry.seeds,
                "place": entry.place,
                "best_baseline": column.best_baseline,
                "significantly_better": entry.better,
                "reason": entry.reason,
            }
            for model, entries in self.table.entries.items()
            for column, entry in zip(self.table.columns, entries, strict=True)
        ]


def _tex(cell: Shown, space_for: str) -> TexCell:
    mark = STAR if cell.star else cell.hole
    text = re.sub(r"^-(?=\d)", "−", cell.text)  # a minus, not a hyphen
    return TexCell(text, cell.place == 1, cell.place == 2, mark, "" if mark else space_for)


def _md(cell: Shown) -> str:
    text = markdown(cell.text)
    text = f"**{text}**" if cell.place == 1 else f"<ins>{text}</ins>" if cell.place == 2 else text
    if cell.hole:
        return f"{text}<sup>{cell.hole}</sup>"
    return f"{text} {STAR}" if cell.star else text


def _html(cell: Shown) -> str:
    tag = {1: "b", 2: "u"}.get(cell.place or 0)
    text = f"<{tag}>{cell.text}</{tag}>" if tag else cell.text
    mark = STAR if cell.star else cell.hole
    return text + (f"<sup>{mark}</sup>" if mark else "")
