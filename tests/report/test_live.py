import io
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, get_args

import pytest
from rich.console import Console

from lrbench.options import CompareSpec
from lrbench.plan import Plan, Stage
from lrbench.rangetest.result import FindProgress
from lrbench.records import CutRecord, History
from lrbench.report.live import State, advance, live, picture
from tests.analysis.made import finals, tuned
from tests.report.hostile import NAMES
from tests.report.test_schedules import shown

SPEC = CompareSpec(schedules=("cosine", "linear"), seeds=2)
TRIALS = [
    *tuned("cosine", {0.1: 0.9, 0.2: None}),
    *finals({"cosine": [0.9, 0.92], "linear": [0.8, None]}),
]


def events(trials: list[History]) -> Iterator[Any]:
    tuning = tuple(h.spec for h in trials if h.spec.stage == "tune")
    sweep = FindProgress("sweep", 0, 7, 100, 1e-3, 2.3)
    yield Plan("find")
    yield sweep
    for stage in get_args(Stage)[1:3]:
        mine = [history for history in trials if history.spec.stage == stage]
        specs = tuple(history.spec for history in mine)
        yield Plan(stage, trials=specs, tuning=tuning)
        for history in mine:
            yield history.spec, ()
            for record in (*history.epochs, history.end):
                yield history.spec, (record,)
    yield Plan("done", tuning=tuning)


def run(console: Console | None = None, *, quiet: bool = False, trials: Any = TRIALS) -> None:
    with live(not quiet, spec=SPEC, console=console) as show:
        for event in events(trials):
            show(event)


def said(trials: Any = TRIALS, width: int = 80, terminal: bool = False) -> str:
    out = io.StringIO()
    to = Console(file=out, width=width, force_terminal=terminal, force_interactive=terminal)
    run(to, trials=trials)
    return out.getvalue()


def drawn(state: State, width: int = 80) -> str:
    return shown(picture(state, width), width)


def test_in_a_pipe_there_is_a_line_for_each_trial() -> None:
    lines = said().splitlines()
    assert len([x for x in lines if x.startswith(("tune ", "final ")) and "/" in x]) == 6
    assert "\x1b" not in said() and "\r" not in said()
    assert [line for line in lines if " lr " not in line] == [
        "range test", "tuning: 2 trials", "final seeds: 4 trials",
    ]  # fmt: skip
    assert "final 1/4 cosine lr 0.1 seed 0: test accuracy 90.00 %, loss 0.2000, 4.0 s" in lines
    assert any("diverged: the loss was not finite at step 13" in line for line in lines)
    losses = said(finals({"cosine": [0.9, 0.8]}, accuracy=False))
    assert "final 1/2 cosine lr 0.1 seed 0: test loss 0.2000, 4.0 s" in losses


@pytest.mark.parametrize("quiet", [True, False])
def test_progress_goes_to_stderr_unless_it_is_quiet(
    quiet: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    run(quiet=quiet)
    out, err = capfd.readouterr()
    assert out == "" and ("final 1/4 cosine" in err) != quiet and bool(err) != quiet


def test_the_picture_tells_how_far_the_run_is() -> None:
    state = State(finals=4)
    seen = []
    for event in events(TRIALS):
        advance(state, event)
        seen.append(drawn(state))
        assert max(map(len, seen[-1].splitlines())) <= 80
    flat = [" ".join(text.split()) for text in seen]
    assert any("range test" in text and "sweep, lr 1.0e-03" in text for text in seen)
    assert any("trial 1 of 4: cosine, lr 0.1, epoch 1 of 2, train loss 0.2" in t for t in seen)
    assert any("val accuracy 90.00 %" in t and "1,000 img/s" in t for t in flat)
    assert "linear 2/2 (1 failed) 80.00 %" in flat[-1] and "cosine 2/2 92.00 %" in flat[-1]


def test_time_left_counts_the_finals_that_are_not_planned_yet() -> None:
    state = State(finals=4)
    stream = events(TRIALS)
    while state.epochs_done < 2:
        advance(state, next(stream))
    assert state.epochs == 2 * 2 + 4 * 2
    for event in stream:
        advance(state, event)
    assert state.epochs_done == state.epochs == 12
    assert state.left_s is not None and state.left_s < 1


@pytest.mark.parametrize("terminal", [False, True])
def test_hostile_names_stay_text(terminal: bool) -> None:
    text = said(finals({name: [0.9, None] for name in NAMES}), terminal=terminal)
    assert "\x1b]0;" not in text and "\u202e" not in text and "[/red]evil" in text
    assert ("\x1b[" in text) == terminal


@pytest.mark.parametrize(
    ("new", "words"), [(0.01, "cut from 0.1 to 0.01"), (0.2, "raised from 0.1 to 0.2")]
)
def test_a_move_of_the_learning_rate_is_said(new: float, words: str) -> None:
    trial, state = finals({"plateau": [0.9]})[0].spec, State()
    (line,) = advance(state, (trial, (CutRecord(trial.id, 3, 0.1, new),)))
    assert line.plain == f"plateau seed 0: LR {words} after epoch 3"
    assert line.plain in drawn(state)


@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_picture_fits_its_terminal_and_shows_every_column(width: int) -> None:
    state = State(finals=4)
    names = ("3*(warmup(2%, from=0) + cosine(duration=30%)) + constant(at=0.1%)", "cosine")
    for event in list(events(finals({name: [0.9, 0.92] for name in names})))[:-1]:
        advance(state, event)
    text = drawn(state, width)
    assert max(map(len, text.splitlines())) <= width
    row = next(line for line in text.splitlines() if line.startswith("cosine"))
    assert "2/2" in row and "92.00 %" in row and "▁▁" in row
    assert "……" not in text and "img/s" in text and " left" in text


FOUND = "gradients were clipped in 80 % of the steps"


def clipped(stage: str) -> list[History]:
    """Two trials of which the curves say something."""
    both = {"final": finals({"cosine": [0.9, 0.92]}), "tune": tuned("cosine", {1: 0.9, 2: 0.9})}
    return [replace(h, end=replace(h.end, clipped_share=0.8)) for h in both[stage] if h.end]


@pytest.mark.parametrize("terminal", [False, True])
def test_what_the_curves_say_is_said_when_a_trial_ends_in_full_once(terminal: bool) -> None:
    text = said([*clipped("tune"), *clipped("final")], 200, terminal)
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    assert plain.count(f"final cosine lr 0.1 seed 0: {FOUND}") == 1
    assert plain.count("clipped") == FOUND.count("clipped") and "mostly-clipped" not in plain


def test_nothing_is_said_of_a_trial_whose_beginning_was_not_seen() -> None:
    late = [replace(each, epochs=each.epochs[1:]) for each in clipped("final")]
    assert "clipped" not in said(late)
