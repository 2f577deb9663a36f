"""A class's paper is read from its docstring."""

import pytest

from fuxi_plugins.models.citation import Paper, paper_of


def cited(docstring: str | None) -> Paper:
    return paper_of(type("Mine", (), {"__doc__": docstring}))


def test_a_title_may_hold_commas_and_break_over_lines():
    docstring = """Mine is an MLP.

    Paper: Wide, Deep and in
    Between: A Study, TREC 2031,
    https://example.org/a,b.c.

        y = x
    """
    assert cited(docstring) == Paper("Wide, Deep and in Between: A Study", "TREC", 2031, "https://example.org/a,b.c")


@pytest.mark.parametrize(
    "docstring", [None, "Mine is an MLP.", "Mine.\n\nPaper: A Title, TREC, https://example.org/1.", "Paper: A, B 2031."]
)
def test_a_docstring_without_a_citation_is_an_error_that_says_the_form(docstring):
    with pytest.raises(ValueError, match="Mine must name its paper as 'Paper: TITLE, VENUE YEAR, URL.'"):
        cited(docstring)
