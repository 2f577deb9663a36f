"""The glossary: complete for every head of a table, in order, and its page up to date."""

import re

import pytest

from fuxi_plugins.records.metrics import is_metric
from fuxi_plugins.reporting.glossary import GLOSSARY, HEADS, explanation
from scripts import make_glossary_page
from tests.conftest import ROOT

TEMPLATES = ROOT / "fuxi_plugins" / "reporting" / "site" / "templates"
PLAIN = {"Dataset", "Experiment", "Test", "Best epoch", "Seconds", "Failed", "Reason", "Runs", "Ours"}


def test_words_stand_in_alphabetical_order_and_each_is_a_sentence():
    assert list(GLOSSARY) == sorted(GLOSSARY, key=str.casefold)
    for word, text in GLOSSARY.items():
        assert text[0].isupper() or text[0] == "p", word
        assert text.endswith((".", ")")), word
        assert "\n" not in text


def test_the_page_is_what_the_glossary_says():
    assert make_glossary_page.PAGE.read_text() == make_glossary_page.page()


def test_a_parser_can_read_the_page():
    found = re.findall(r"^## (.+)\n\n(.+)$", make_glossary_page.page(), flags=re.M)
    words = [word for word, _ in found]
    assert words == sorted(words, key=str.casefold)
    assert set(GLOSSARY) <= set(words)
    assert all(word in GLOSSARY or is_metric(word) for word in words)


def test_every_head_leads_to_a_word():
    assert set(HEADS.values()) <= set(GLOSSARY)
    assert not set(HEADS) & {word.casefold() for word in GLOSSARY} - {"bars"}
    assert explanation("Rank") == GLOSSARY["rank"]
    assert explanation("Dense") == GLOSSARY["dense parameters"]
    assert explanation("logloss").endswith(" Lower is better.")
    assert explanation("Nobody's word") == ""


@pytest.mark.parametrize("template", ["board.html", "ledger.html", "tuning_results.html"])
def test_every_head_of_the_site_is_explained_or_plain(template):
    text = (TEMPLATES / template).read_text()
    heads = re.findall(r'header\("([^"]+)"', text) + re.findall(
        r'\("([A-Z0-9][^"]*)", "(?:text|number)(?: name)?"\)', text
    )
    assert len(heads) >= 7
    assert {head for head in heads if not explanation(head)} <= PLAIN
