import pytest

from lrbench.report.text import clean, no_formula
from tests.report.hostile import NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_clean_name_is_one_short_printable_line(name: str) -> None:
    assert clean(name, 50).isprintable()
    assert len(clean(name, 50)) <= 50


def test_plain_names_stay_as_they_are() -> None:
    assert clean("warmup(5%) + cosine") == "warmup(5%) + cosine"
    assert clean("名前") == "名前"
    assert no_formula("warmup(5%) + cosine") == "warmup(5%) + cosine"


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@x", "\t=1", "  =1", "\r=1"])
def test_formulas_get_an_apostrophe(text: str) -> None:
    assert no_formula(text) == "'" + text
