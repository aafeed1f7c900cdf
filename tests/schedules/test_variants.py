"""Several schedules in one text, and which of many differ in one value."""

import pytest

from lrbench.errors import UsageError
from lrbench.options import CompareSpec
from lrbench.schedules import expand, parse, variants


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cosine", ["cosine"]),
        ("warmup({0,1,5}%) + cosine", [f"warmup({n}%) + cosine" for n in (0, 1, 5)]),
        ("cosine(min={0, 1%})", ["cosine(min=0)", "cosine(min=1%)"]),
        ("{cosine,linear(to=1%, duration=5ep)}", ["cosine", "linear(to=1%, duration=5ep)"]),
        ("{a,b}{1,2}", ["a1", "a2", "b1", "b2"]),
        ("{a,{b,c}d}", ["a", "bd", "cd"]),
        ("multistep([{1,2}ep])", ["multistep([1ep])", "multistep([2ep])"]),
        ("expr('{1,2}')", ["expr('{1,2}')"]),
    ],
)
def test_braces_multiply(text: str, expected: list[str]) -> None:
    assert expand(text) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [("cosine(min={0,1%)", "column 12 is not closed"), ("{1,2}" * 9, "more than 200")],
)
def test_faults(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        expand(text)


def test_the_option_takes_them() -> None:
    spec = CompareSpec(schedules=["warmup({0,5}%) + cosine", "cosine(min={0,1%})"])
    assert spec.schedules == ("warmup(0%) + cosine", "warmup + cosine", "cosine", "cosine(min=1%)")


def test_what_differs_in_one_value_comes_together_rising() -> None:
    names = [str(parse(one)) for one in expand("warmup({10,0,1}%) + cosine(min={0,1%})")]
    lengths, *_, floors = variants([*names, "linear"])
    assert lengths.parameter == "length of warmup"
    assert list(lengths.values.values()) == ["0%", "1%", "10%"]
    assert lengths.amounts == (0, 1, 10)
    assert floors.parameter == "min of cosine" and floors.amounts == (0, 1)
    assert len(variants([*names, "linear"])) == 5
    (times,) = variants(["2*(linear(duration=1ep))", "3*(linear(duration=1ep))"])
    assert times.parameter == "repetitions" and times.amounts == (2, 3)


def test_values_of_several_units_have_no_amounts() -> None:
    (found,) = variants(["warmup(1ep) + linear", "warmup(10%) + linear"])
    assert found.amounts == () and set(found.values.values()) == {"1ep", "10%"}
