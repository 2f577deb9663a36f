"""The documentation as a whole: pages are in the navigation, links lead somewhere, pictures show the records."""

import re

import click
import pytest
import yaml

from fuxi_plugins.cli.main import main
from scripts import make_figures
from tests.conftest import ROOT

PAGES = sorted((ROOT / "docs").glob("*.md"))
CONFIG = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
NAVIGATION = CONFIG["nav"]
LINK = re.compile(r"\]\(([^)#\s:]+)(?:#[^)\s]*)?\)")


def listed(part):
    """Pages of the navigation, whatever their depth."""
    if isinstance(part, str):
        return [part]
    return [page for inner in (part.values() if isinstance(part, dict) else part) for page in listed(inner)]


def test_the_navigation_has_every_page_once():
    assert sorted(listed(NAVIGATION)) == [page.name for page in PAGES]


def test_the_search_of_the_pages_loads_nothing_from_a_network():
    """Without a polyfill of this name the plugin "offline" adds one that a web host serves."""
    assert "offline" in CONFIG["plugins"]
    (script,) = CONFIG["extra"]["polyfills"]
    assert "iframe-worker" in script
    assert (ROOT / "docs" / script).is_file()


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *PAGES], ids=lambda page: page.name)
def test_links_lead_to_files(page):
    for link in LINK.findall(re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)):
        assert (page.parent / link).exists(), link


def test_the_workflow_of_the_site_calls_what_there_is():
    workflow = yaml.safe_load((ROOT / "docs" / "github-pages.yml").read_text())
    steps = [step["run"] for step in workflow["jobs"]["publish"]["steps"] if "run" in step]
    (words,) = ([*re.findall(r'"[^"]*"|\S+', step)] for step in steps if step.startswith("fuxibench"))
    command = main
    for word in words[1:3]:
        assert isinstance(command, click.Group)
        command = command.commands[word]
    options = {name for parameter in command.params for name in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= options
    assert "@ git+https://" in workflow["env"]["FUXIBENCH"]  # no release is on PyPI


def test_the_pictures_show_what_the_records_say():
    """Their text alone: lines and letters' widths differ between versions of matplotlib."""
    for drawn in make_figures.drawings():
        committed = (make_figures.IMAGES / f"{drawn.name}.svg").read_text()
        assert texts(committed) == texts(drawn.svg().decode()), "run 'python scripts/make_figures.py'"
        if drawn.name == "front":
            assert all(f"![{drawn.caption}]" in page.read_text() for page in make_figures.PAGES)


def texts(svg):
    found = re.findall(r"<text[^>]*>([^<]+)</text>", svg)
    assert len(found) > 20
    return found
