"""A new schedule is one function; lengths, rounding, clocks; a schedule on a shorter budget."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lrbench.errors import UsageError
from lrbench.schedules import SCHEDULES, catalogue, parse, register
from lrbench.schedules.stretch import stretched
from lrbench.schedules.units import number_text, piece

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


@given(st.floats(1e-12, 1e18) | st.integers(0, 10**15).map(float))
@settings(deadline=None)
def test_number_text_reads_back(value: float) -> None:
    assert float(number_text(value)) == value


@given(st.integers(1, 50), st.sampled_from([1, 2, 3, 5]), st.integers(0, 10**24))
@settings(deadline=None)
def test_whole_pieces_are_integer_arithmetic(size: int, growth: int, step: int) -> None:
    index, start, end = piece(step, size, growth)
    assert start <= step < end
    before = range(index) if growth > 1 else ()
    assert start == (sum(size * growth**i for i in before) if growth > 1 else size * index)
    assert end - start == size * growth**index


@given(st.floats(1, 500), st.floats(1, 4) | st.just(1 + 1e-15), st.integers(0, 10**6))
@settings(deadline=None)
def test_pieces_tile_the_time(size: float, growth: float, step: int) -> None:
    index, start, end = piece(step, size, growth)
    assert start <= step < end
    assert piece(start, size, growth) == (index, start, end)
    assert piece(end, size, growth)[1] == end
    if start:
        assert piece(start - 1, size, growth)[2] == start


EPOCH = 40
WHOLE = 16


@pytest.mark.parametrize(
    "spec",
    ["cosine", "step(4ep, gamma=0.5)", "multistep([80it, 12ep], gamma=0.3)", "onecycle",
     "exponential(gamma=0.9)", "inverse_time(k=0.2)", "exp_range(2ep, gamma=0.999)",
     "sgdr(4ep, mult=2)", "2*(warmup(1ep, from=0) + cosine(duration=7ep))",
     "wsd(warmup=1ep, decay=4ep)", 'expr("1 if epoch < 8 else steps/10000")',
     "warmup(4ep) * step(6ep, gamma=0.9)"],
)  # fmt: skip
@pytest.mark.parametrize("share", [0.25, 0.5, 2])
def test_the_curve_is_the_same_over_the_share_of_the_run(spec: str, share: float) -> None:
    schedule = parse(spec)
    steps = WHOLE * EPOCH
    whole = schedule.table(lr=1.0, steps=steps, steps_per_epoch=EPOCH)
    short = stretched(schedule, share)
    shrunk = short.table(lr=1.0, steps=int(share * steps), steps_per_epoch=EPOCH)
    inside = [t for t in range(1, len(shrunk) - 1) if smooth(whole, int(t / share), share)]
    assert len(inside) > 0.6 * len(shrunk)
    for t in inside:
        assert shrunk[t] == pytest.approx(whole[min(steps - 1, int(t / share))], abs=0.06)
    assert parse(str(short)) == short


def smooth(table: list[float], step: int, share: float) -> bool:
    """Whether no jump lies within rounding of the step."""
    reach = round(2 / share) + 2
    near = table[max(0, step - reach) : step + reach]
    return max(near) - min(near) < 0.2


def test_patience_is_a_number_of_epochs_also_where_it_is_the_default() -> None:
    assert str(stretched(parse("plateau"), 0.5)) == "plateau(patience=5)"
    assert str(stretched(parse("plateau(patience=1)"), 0.25)) == "plateau(patience=1)"
    both = stretched(parse("plateau(patience=0, cooldown=8)"), 0.25)
    assert str(both) == "plateau(patience=0, cooldown=2)"


def test_a_factor_for_every_epoch_gives_the_same_end() -> None:
    half = stretched(parse('multiplicative("0.9")'), 0.5)
    assert half.bind(1.0, 5 * EPOCH, EPOCH).lr(4 * EPOCH) == pytest.approx(0.9**8)


def test_relative_schedules_stay_as_they_are() -> None:
    for entry in SCHEDULES:
        if entry.make.of_torch or entry.name in ("plateau", "greedy"):
            continue
        bare = entry.name if entry.name != "expr" else 'expr("1 - progress")'
        assert stretched(parse(bare), 0.25) == parse(bare)


@pytest.mark.parametrize("spec", ["StepLR(step_size=30)", "ReduceLROnPlateau(patience=3)"])
def test_torch_names_are_refused(spec: str) -> None:
    with pytest.raises(UsageError, match=r"--budgets: \w+ is written for one length"):
        stretched(parse(spec), 0.5)
