"""Every setting of the training is explained, in the listing and on the page of the documentation."""

import pytest

from fuxi_plugins.experiments.settings_table import settings_table
from fuxi_plugins.experiments.training_settings import Training
from scripts.make_settings_page import PAGE, SECTIONS, page, section_of


def test_the_page_is_that_of_the_settings():
    assert PAGE.read_text() == page(), "python scripts/make_settings_page.py writes it anew"


def test_every_setting_has_its_row_with_a_meaning_and_a_section():
    table = settings_table()
    assert [setting.name for setting in table] == list(Training.model_fields)
    assert all(setting.meaning.endswith(".") for setting in table)
    assert {section_of(setting) for setting in table} == set(SECTIONS)


@pytest.mark.parametrize(
    ("name", "takes", "default"),
    [
        ("batch_size", "a whole number from 1", "4096"),
        ("max_gradient_norm", "a number above 0", "10.0"),
        ("amp", "bf16", "null"),
        ("dropout_bits", "16", "null"),
        ("train_step", "fast, fuxictr", '"fast"'),
        ("monitor", "text or a weight for each of several names", '"AUC"'),
        ("eval_steps", "a whole number from 1", "null"),
    ],
)
def test_what_a_setting_takes_is_said_in_words(name, takes, default):
    (found,) = (setting for setting in settings_table() if setting.name == name)
    assert (found.takes, found.default) == (takes, default)
