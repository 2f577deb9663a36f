"""LaTeX tables fit the width that they are given: by the estimate always, and by LaTeX where it is at hand."""

import re
import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuxi_plugins.reporting.formats import render
from fuxi_plugins.reporting.table import paper_table
from fuxi_plugins.reporting.tabular import WIDTHS, Setting, TexCell, TexColumn, fit, panel_width, tabular, text_width
from tests.conftest import ROOT
from tests.reporting.make import HOSTILE_NAMES, hostile_board, table_of

NAMES = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=60)
CELLS = st.builds(TexCell, NAMES, st.booleans(), st.booleans(), st.sampled_from(["", "*", r"\dagger"]))


@st.composite
def columns(draw):
    rows = draw(st.integers(1, 4))
    count = draw(st.integers(2, 12))
    cells = st.lists(CELLS, min_size=rows, max_size=rows)
    groups = draw(
        st.lists(st.sampled_from(["", "one", "another dataset of a long name"]), min_size=count, max_size=count)
    )
    return [TexColumn(draw(NAMES), draw(cells), "r" if place else "l", groups[place] if place else "")
            for place in range(count)]  # fmt: skip


@settings(max_examples=40)
@given(columns(), st.sampled_from(sorted(WIDTHS.values())))
def test_every_table_fits_and_keeps_every_column(drawn, width):
    setting, panels = fit(drawn, width)
    for panel in panels:
        assert panel_width([drawn[index] for index in panel], setting) <= width
    assert [index for panel in panels for index in panel[1:]] == list(range(1, len(drawn)))
    assert all(panel[0] == 0 and len(panel) > 1 for panel in panels)


def test_a_table_that_fits_is_set_as_usual():
    drawn = [TexColumn("Model", [TexCell("DNN")], "l"), TexColumn("AUC", [TexCell("0.7010")])]
    setting, panels = fit(drawn, WIDTHS["one"])
    assert (setting.size, setting.gap, panels) == (10, 12.0, [[0, 1]])


def test_groups_stay_together_when_a_table_is_divided():
    wide = [TexCell("0.1234567 ± 0.12345")]
    drawn = [TexColumn("Model", [TexCell("DNN")], "l")]
    drawn += [TexColumn("AUC", wide, group=group) for group in ("one", "one", "two", "two", "three")]
    _, panels = fit(drawn, WIDTHS["one"])
    assert panels == [[0, 1, 2], [0, 3, 4], [0, 5]]


def test_widths_are_those_of_computer_modern():
    assert text_width("0.7301") == pytest.approx(5 * 0.5 + 0.278, abs=1e-3)
    assert text_width("DNN") == pytest.approx(0.764 + 2 * 0.75, abs=1e-3)
    assert text_width("中") >= text_width("U+4E2D"), "of what is printed"


# An article whose columns are as wide as the tables may be. It measures every tabular, and reports what sticks out.
ARTICLE = r"""
\documentclass[twocolumn]{article}
\usepackage{booktabs}
\setlength{\textwidth}{504pt}\setlength{\hsize}{504pt}\setlength{\columnsep}{24pt}\setlength{\columnwidth}{240pt}
\newsavebox{\measured}
\let\itstabular\tabular
\let\itsend\endtabular
\renewenvironment{tabular}[1]{\begin{lrbox}{\measured}\itstabular{#1}}{%
  \itsend\end{lrbox}\typeout{width of a tabular: \the\wd\measured}\usebox{\measured}}
\begin{document}
%s
\end{document}
"""


def widths_in_latex(folder, source: str) -> list[float]:
    (folder / "article.tex").write_text(ARTICLE.lstrip().replace("%s", source))
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "article.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, timeout=60)
    log = (folder / "article.log").read_text(errors="replace")
    assert done.returncode == 0, log[-2000:]
    assert not re.findall(r"Overfull \\hbox.*", log)
    return [float(width) for width in re.findall(r"width of a tabular: ([\d.]+)pt", log)]


needs_latex = pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex here")


@needs_latex
@pytest.mark.parametrize("columns", ["one", "two"])
@pytest.mark.parametrize("datasets", [1, 2, 5])
def test_a_papers_table_fits_in_an_article(tmp_path, columns, datasets):
    table = table_of(tmp_path, datasets=datasets)
    found = widths_in_latex(tmp_path, table.to_latex(columns))
    assert found
    assert max(found) <= WIDTHS[columns]


@needs_latex
@pytest.mark.parametrize("columns", ["one", "two"])
def test_hostile_names_compile_and_fit(tmp_path, columns):
    table = table_of(tmp_path, names=HOSTILE_NAMES)
    found = widths_in_latex(tmp_path, table.to_latex(columns, caption=" ".join(HOSTILE_NAMES[:-1])))
    assert max(found) <= WIDTHS[columns]


@needs_latex
def test_a_board_fits_in_an_article(tmp_path):
    board = hostile_board(tmp_path)
    text = render(board, "A title", "tex")
    found = widths_in_latex(tmp_path, f"\\begin{{table*}}\n{text}\\end{{table*}}")
    assert max(found) <= WIDTHS["two"]


@needs_latex
@pytest.mark.parametrize("bold", [False, True])
@pytest.mark.parametrize("size", [10, 9, 8, 7])
def test_text_is_no_wider_than_estimated_and_not_much_narrower(tmp_path, bold, size):
    texts = ["0.98516 ± 0.00061", "RankElastor_x [amp=bf16]", "1 (1–6)", "a|b <c> {d} ~e^f − #1 $2", "FiGNN, xDeepFM"]
    drawn = [[TexColumn("", [TexCell(text, bold=bold, mark="*")])] for text in texts]
    source = "\n\n".join(line for column in drawn for line in tabular(column, 1e4))
    found = widths_in_latex(tmp_path, source.replace("{10}{12.0}", f"{{{size}}}{{12}}"))
    for text, column, true in zip(texts, drawn, found, strict=True):
        estimate = panel_width(column, Setting(size, 12.0, 1e4))
        assert 0.8 * estimate <= true <= estimate, text


def test_the_shipped_boards_fit(tmp_path):
    """Two boards of the repository, by the estimate: LaTeX is not needed."""
    for columns in WIDTHS:
        found = paper_table(["frappe_board", "ml100k_board"], metrics=["AUC", "RelaImpr"], baselines=["DNN"],
                            workspace=workspace_of_the_repository())  # fmt: skip
        assert found.to_latex(columns).count(r"\begin{tabular}") == 1


def workspace_of_the_repository():
    from fuxi_plugins.core.workspace import Workspace

    return Workspace.locate(ROOT / "benchmark_configs", ROOT / "results")
