import pytest

from lrbench.report.text import clean, no_formula
from tests.report.hostile import NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_clean_name_is_one_short_printable_line(name: str) -> None:
    assert clean(name, 50).isprintable() and len(clean(name, 50)) <= 50


@pytest.mark.parametrize("name", ["warmup(5%) + cosine", "名前"])
def test_plain_names_stay_as_they_are(name: str) -> None:
    assert clean(name) == no_formula(name) == name


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@x", "\t=1", "  =1", "\r=1"])
def test_formulas_get_an_apostrophe(text: str) -> None:
    assert no_formula(text) == "'" + text
