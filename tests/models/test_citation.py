"""A class's paper is read from its docstring."""

import pytest

from fuxi_plugins.models.citation import Paper, Passage, paper_of, passages_in


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


def test_authors_stand_below_the_paper_and_may_have_initials():
    docstring = """Mine is an MLP.

    Paper: A Title, TREC 2031, https://example.org/1.
    Authors: Ed H. Chi, JC
    Mao.

    Data: any.
    """
    assert cited(docstring).authors == ("Ed H. Chi", "JC Mao")
    assert cited("Mine.\n\nPaper: A Title, TREC 2031, https://example.org/1.\nAuthors: A One.").authors == ("A One",)
    assert cited("Mine.\n\nPaper: A Title, TREC 2031, https://example.org/1.").authors == ()


def test_passages_are_what_stands_between_citation_and_arguments():
    docstring = "Mine.\n\nPaper: A, B 2031, https://e.org/1.\n\n    y = x\n      + 1\n\nOf\nx.\n\nArgs:\n    z: no."
    assert passages_in(docstring) == [Passage("y = x\n  + 1", is_formula=True), Passage("Of x.")]
    assert passages_in("Mine.") == []


@pytest.mark.parametrize(
    "docstring", [None, "Mine is an MLP.", "Mine.\n\nPaper: A Title, TREC, https://example.org/1.", "Paper: A, B 2031."]
)
def test_a_docstring_without_a_citation_is_an_error_that_says_the_form(docstring):
    with pytest.raises(ValueError, match="Mine must name its paper as 'Paper: TITLE, VENUE YEAR, URL.'"):
        cited(docstring)
