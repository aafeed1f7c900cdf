import io
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from lrbench.options import Recipe
from lrbench.rangetest.result import FindProgress, FindResult
from lrbench.report.console import find_answer, find_tail
from lrbench.report.find_live import find_bar
from lrbench.report.find_plot import sweep_chart
from lrbench.report.found import against_table, next_command
from tests.report.find_results import found, not_found, tabled


def shown(result: FindResult, width: int = 80) -> str:
    out = io.StringIO()
    Console(file=out, width=width).print(find_answer(result))
    Console(file=out, width=width).print(find_tail(result, Path("results/run")), soft_wrap=True)
    return out.getvalue()


def test_it_says_what_was_found_and_how_sure_that_is() -> None:
    text = shown(replace(found(), reasons=("noisy: so and so", "edge: and so")))
    for words in (
        f"learning rate {found().lr:.3g}", "grade ok", "above it training diverges",
        "(3 tried, by", "other rules", "diverged", "results/run", "noisy: so and so", "edge: and",
    ):  # fmt: skip
        assert words in text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "0.027 to 0.047 are equally good (3 tried, by validation loss)"),
        ({"confirmed": True}, "equally good, as the sweep says (3 tried"),
        ({"equally_good": [0.03, 0.03]}, "0.03 is best (3 tried"),
        ({"learns": False}, "none improved on its start"),
    ],
)
def test_it_says_what_the_short_trainings_found(changes: Any, words: str) -> None:
    checked = {**(found().verification or {}), "equally_good": [0.027, 0.047], **changes}
    assert words in shown(replace(found(), verification=checked), 100)


@pytest.mark.parametrize(("result", "width"), [(found(), 80), (not_found(), 80), (found(), 40)])
def test_it_fits_into_its_columns_and_no_number_is_cut(result: FindResult, width: int) -> None:
    text = shown(result, width)
    whole = ("next:", "files:")  # a command is copied as one line
    assert max(len(line) for line in text.splitlines() if not line.startswith(whole)) <= width
    assert "…" not in text and ("0.4000" in text or result.lr is None)


def test_control_characters_in_names_do_not_reach_the_terminal() -> None:
    assert "\x1b" not in shown(replace(not_found(), reasons=("bad \x1b[31m name",)))


ANY_WORDS = "any words that name --seeds, --loss or lower --end-lr"
SWEPT = {"mode": "linear", "start_lr": 0.01, "end_lr": 5.0, "points": 50, "verify": False}


def settings(result: FindResult, **changes: Any) -> FindResult:
    return replace(result, settings={**result.settings, **changes})


@pytest.mark.parametrize(
    ("result", "command"),
    [
        (
            found(Recipe(init_from="w.pt", init_digest="6de8121da15e2ddc")),
            "compare --init-from w.pt --lr 0.05,0.1,0.2",
        ),
        (
            found(Recipe(dataset="folder:" + "x" * 100, batch_size=64, groups=("*.bias lr=2x",))),
            f"compare --dataset folder:{'x' * 100} --batch-size 64 --group '*.bias lr=2x' "
            "--lr 0.05,0.1,0.2",
        ),
        (
            replace(  # the LRs of a command, also a group's own, are the highest of the run
                found(Recipe(groups=("*.bias lr=0.01", "1.* lr=2x"))),
                aim={"schedule": "noam", "epochs": 2, "steps": 9, "peak": 0.5, "because": ""},
            ),
            "compare --group '*.bias lr=0.005' --group '1.* lr=2.0x' --lr 0.025,0.05,0.1 "
            "-s noam --epochs 2",
        ),
        (not_found(ANY_WORDS, end_lr=1000.0), "find --end-lr 1000"),
        (not_found(ANY_WORDS, start_lr=1e-8), "find --start-lr 1e-08"),
        (
            settings(not_found("rising: lower --end-lr", end_lr=0.5), **SWEPT, val_loss=True),
            "find --points 50 --start-lr 0.01 --end-lr 0.5 --mode linear --no-verify --val-loss",
        ),
        (  # an answer above the stable limit is verified before it is compared
            settings(
                replace(found(), grade="weak", changes={"verify": True}), verify=False, points=50
            ),
            "find --points 50 --verify",
        ),
        (not_found("diverged at once: look at the data and --loss"), ""),
        (replace(found(), settings={"optimizer": "SGD"}), ""),  # of the Python API
    ],
)
def test_the_next_command_repeats_what_is_not_the_default_and_makes_the_changes(
    result: FindResult, command: str
) -> None:
    if result.lr is not None:
        result = replace(result, lr=0.1, verification=None)
    lines = [line for line in shown(result, 40).splitlines() if "next:" in line]
    assert lines == ([f"next: {next_command(result)}"] if command else [])
    assert shlex.split(next_command(result)) == shlex.split(command and f"lrbench {command}")


@pytest.mark.parametrize(
    ("losses", "equal", "lrs"),
    [
        ([(0.06, 1.0), (0.1, 0.5), (0.15, 1.0)], (0.1, 0.1), "0.06,0.1,0.15"),
        ([(0.06, 0.5), (0.1, 0.5), (0.15, None)], (0.06, 0.1), "0.05,0.1,0.15"),
        ([(0.01, 1.0), (0.1, 0.5), (0.9, None)], (0.1, 0.1), "0.05,0.1,0.2"),
        ([(0.02, 0.4), (0.1, 0.5), (0.2, 1.0)], (0.02, 0.1), "0.02,0.1,0.2"),
        ([(0.1, 0.5), (0.3, 0.4), (0.9, None)], (0.1, 0.3), "0.05,0.1,0.3"),
    ],
)
@pytest.mark.parametrize("horizon", [1.0, 0.1])
def test_the_next_lrs_have_the_best_and_none_beyond_those_that_did_worse(
    losses: Any, equal: Any, lrs: str, horizon: float
) -> None:
    """Also where the trainings are shorter than the run that the answer is for."""
    checked = {"lr": 0.1 / horizon, "learns": True, "equally_good": [x / horizon for x in equal]}
    checked["losses"] = [(lr / horizon, loss) for lr, loss in losses]
    result = replace(found(Recipe()), lr=0.1, verification=checked)
    assert next_command(result).endswith(f"--lr {lrs}")


def test_the_bar_takes_every_event_and_can_be_silenced(capsys: pytest.CaptureFixture[str]) -> None:
    for progress in (False, True):
        with find_bar(progress) as show:
            show(FindProgress("sweep", 0, 1, 2, 1e-3, 2.3))
            show(FindProgress("verify", 0, 1, 2, 1e-3, None))
            show(found())
        said = capsys.readouterr()
        assert said.out == "" and bool(said.err) == progress
    assert "check by training" in said.err and "diverged" in said.err
    bars = said.err.strip().splitlines()
    assert len(bars) == 2 and all("1/1" in bar for bar in bars)  # none ends unfinished


@pytest.mark.parametrize("terminal", [True, False])
def test_without_being_asked_progress_shows_on_a_terminal_only(terminal: bool) -> None:
    out = io.StringIO()
    with find_bar(None, Console(file=out, force_terminal=terminal, width=100)) as show:
        show(FindProgress("sweep", 0, 1, 2, 1e-3, 2.3))
    assert ("sweep" in out.getvalue()) is terminal


@pytest.mark.parametrize("momenta", [[], [0.0, 0.9]])
def test_a_table_names_the_momentum_where_it_was_asked_for(momenta: list[float]) -> None:
    """AdamW has none."""
    table = against_table(settings(tabled(), momenta=momenta))
    assert ("momentum" in table.heads) == bool(momenta) and "linear rule" in table.heads
    assert len(table.rows[0]) == len(table.heads)


def test_an_axis_that_shows_a_part_of_the_sweep_says_so() -> None:
    part, whole = (sweep_chart(result).panels[0].x_label for result in (found(), not_found()))
    assert "part shown" in part and "part shown" not in whole
