"""A new schedule is one function: the documentation's example, as it stands there."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lrbench.errors import UsageError
from lrbench.schedules import catalogue, parse, register
from lrbench.schedules.definitions import SCHEDULES, Bounds

PAGE = Path(__file__).parents[2] / "docs" / "schedules.md"
SHARES = ["onecycle", "knee", "wsd", "inverse_sqrt", "power", "multistep", "slanted_triangular"]


@pytest.fixture
def sawtooth() -> Iterator[None]:
    names = SCHEDULES.names()
    code = PAGE.read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]
    scope: dict[str, object] = {}
    exec(compile(code, str(PAGE), "exec", dont_inherit=True), scope)
    yield
    for name in set(SCHEDULES.names()) - set(names):
        del SCHEDULES._entries[name]
    parse.cache_clear()


@pytest.mark.usefixtures("sawtooth")
def test_it_shows_up_everywhere_by_itself() -> None:
    assert "sawtooth" in [entry.name for entry in catalogue()]
    assert str(parse("sawtooth(tooth=5)")) == "sawtooth(5ep)"
    table = parse("warmup(2it) + sawtooth(4it)").table(lr=1.0, steps=8, steps_per_epoch=4)
    assert table == [0.5, 1.0, 1.0, 0.75, 0.5, 0.25, 1.0, 0.75]
    with pytest.raises(UsageError, match="did you mean sawtooth"):
        parse("sawtoth")
    entry = next(entry for entry in catalogue() if entry.name == "sawtooth")
    assert entry.summary == "falls in a straight line, again and again"
    assert entry.facts["formula"] == "b (1 - (t mod l)/l)"


def test_a_name_is_given_once() -> None:
    def cosine(t: int) -> float:
        """Again."""
        return t

    parse("cosine")
    with pytest.raises(ValueError, match="two schedules are called 'cosine'"):
        register(family="ordered")(cosine)
    with pytest.raises(ValueError, match="needs a docstring"):
        register(family="ordered")(lambda t: 1.0)


@pytest.mark.parametrize("name", SHARES)
def test_default_shares_are_of_the_phase(name: str) -> None:
    """A phase by default parameters is what the schedule is on a run of that length."""
    alone = parse(name).table(lr=1.0, steps=200, steps_per_epoch=10)
    for spec, start in ((f"2*({name}(duration=20%))", 200), (f"constant(80%) + {name}", 800)):
        table = parse(spec).table(lr=1.0, steps=1000, steps_per_epoch=10)
        assert table[start : start + 200] == alone


def test_written_shares_are_of_the_run() -> None:
    assert str(parse("constant(60%) + knee(50%)")) == "constant(60%) + knee(50%)"
    table = parse("constant(20%) + knee(50%)").table(lr=1.0, steps=100, steps_per_epoch=10)
    assert table[69:71] == [1.0, 1.0] and table[71] < 1


@pytest.mark.parametrize(
    ("bounds", "inside", "outside", "text"),
    [
        (Bounds(0), [0, 1, 1e9], [-1e-9], "at least 0"),
        (Bounds(0, open=True), [1e-9], [0, -1], "above 0"),
        (Bounds(0, 1), [0, 0.5, 1], [-0.1, 1.1], "at least 0 and at most 1"),
        (Bounds(0, 1, open=True), [0.5], [0, 1], "above 0 and below 1"),
    ],
)
def test_bounds(bounds: Bounds, inside: list[float], outside: list[float], text: str) -> None:
    assert all(value in bounds for value in inside)
    assert not any(value in bounds for value in outside)
    assert str(bounds) == text
