"""The user's own code as a schedule."""

import math
import sys
from pathlib import Path

import pytest

from lrbench.errors import UsageError
from lrbench.schedules import check, parse

CODE = """
import math

def wave(step, steps, steps_per_epoch, width=2.0):
    return 1 + math.sin(width * step / steps) / 2

def by_place(t, total, per_epoch):
    return 1 - t / total + per_epoch * 0

def short(step, steps):
    return 1 - step / steps

def third(step, steps, spe):
    return spe / 10

def staged(step, steps, steps_per_epoch, milestones=(), warmup=0):
    return 1.0

class Family:
    @staticmethod
    def half(step, steps, steps_per_epoch):
        return 0.5

def broken(step, steps, steps_per_epoch):
    raise KeyError("mine")

def a_word(step):
    return "high"

constant = 3
"""


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_schedules.py").write_text(CODE)
    (tmp_path / "needs_more.py").write_text("import not_there_at_all\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "my_schedules", raising=False)


def test_a_function_of_the_step() -> None:
    table = parse("my_schedules:wave(width=3)").table(lr=0.1, steps=10, steps_per_epoch=5)
    assert table == pytest.approx([0.1 * (1 + math.sin(0.3 * t) / 2) for t in range(10)])


def test_by_place_by_name_and_nested() -> None:
    table = parse("my_schedules:by_place").table(lr=1.0, steps=4, steps_per_epoch=2)
    assert table == [1.0, 0.75, 0.5, 0.25]
    assert parse("my_schedules:third").bind(1.0, 4, 2).lr(3) == 0.2
    assert parse("my_schedules:short").bind(1.0, 4, 2).lr(2) == 0.5
    assert parse("my_schedules:Family.half").bind(1.0, 4, 2).lr(3) == 0.5
    assert parse("my_schedules:Family.half").peak(10, 5) == 0.5


def test_as_a_phase_on_its_own_clock() -> None:
    spec = "warmup(2it) + my_schedules:by_place(duration=4it, update=epoch)"
    assert str(parse(spec)) == spec
    table = parse(spec).table(lr=1.0, steps=8, steps_per_epoch=2)
    assert table == [0.5, 1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.5]


def test_past_the_end_it_stays_at_its_last_value() -> None:
    """The user's function is asked about no step that the run does not have."""
    for spec in ("my_schedules:by_place", 'expr("1-progress")', 'expr("sqrt(1-progress)")'):
        run = parse(spec).bind(1.0, 4, 2)
        assert run.lr(4) == run.lr(10**9) == run.lr(3) > 0


def test_its_arguments_mean_what_it_says() -> None:
    assert check(parse("my_schedules:staged(milestones=[900], warmup=900)"), 0.1, 10, 5) == []


def test_parsing_loads_no_code() -> None:
    assert str(parse("my_schedules:wave(width=3)")) == "my_schedules:wave(width=3)"
    assert parse("not_there_at_all:wave").fixed_lr is None
    assert "my_schedules" not in sys.modules


def test_the_users_exceptions_come_out_unchanged() -> None:
    with pytest.raises(KeyError, match="mine"):
        parse("my_schedules:broken").bind(0.1, 10, 5).lr(0)
    with pytest.raises(ModuleNotFoundError, match="not_there_at_all"):
        parse("needs_more:wave").bind(0.1, 10, 5)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("my_schedules:constant", "is not a function"),
        ("my_schedules:wave(wdith=3)", "unexpected keyword argument 'wdith'"),
        ("os:getcwd", "too many positional arguments; a schedule is f\\(step"),
        ("my_schedules:a_word", "it returned str, not a number"),
    ],
)
def test_a_function_that_is_no_schedule_is_refused_in_one_line(spec: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as fault:
        parse(spec).bind(0.1, 10, 5).lr(0)
    assert "\n" not in str(fault.value)
