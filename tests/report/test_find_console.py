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
    result = found()
    text = shown(result)
    assert f"learning rate {result.lr:.3g}" in text and "grade ok" in text
    assert "above it training diverges" in text and "(3 tried, by" in text
    assert "other rules" in text and "diverged" in text and "results/run" in text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "0.027 to 0.047 are equally good (3 tried, by validation loss)"),
        ({"confirmed": True}, "equally good, as the sweep says (3 tried"),
        ({"equally_good": [0.03, 0.03]}, "0.03 is best (3 tried"),
        ({"learns": False}, "none is better than its start"),
    ],
)
def test_it_says_what_the_short_trainings_found(changes: Any, words: str) -> None:
    checked = {**(found().verification or {}), "equally_good": [0.027, 0.047], **changes}
    assert words in shown(replace(found(), verification=checked), 100)


@pytest.mark.parametrize("result", [found(), not_found()], ids=["found", "not found"])
def test_it_fits_into_80_columns(result: FindResult) -> None:
    assert max(len(line) for line in shown(result).splitlines()) <= 80


def test_in_40_columns_no_number_is_cut() -> None:
    text = shown(found(), 40)
    whole = ("next:", "files:")  # a command is copied as one line
    assert max(len(line) for line in text.splitlines() if not line.startswith(whole)) <= 40
    assert "…" not in text and "0.4000" in text


def test_the_next_command_is_one_line_however_long_it_is() -> None:
    recipe = Recipe(dataset="folder:" + "x" * 100, optimizer="adamw")
    (line,) = [line for line in shown(found(recipe), 40).splitlines() if "next:" in line]
    assert line.removeprefix("next: ") == next_command(found(recipe))


def test_reasons_are_shown() -> None:
    result = replace(found(), grade="weak", reasons=("noisy: so and so", "edge: and so"))
    assert "noisy: so and so" in shown(result) and "edge: and so" in shown(result)


def test_control_characters_in_names_do_not_reach_the_terminal() -> None:
    result = replace(not_found(), reasons=("bad \x1b[31m name",))
    assert "\x1b" not in shown(result)


def test_the_next_command_names_a_file_of_weights_and_not_its_digest() -> None:
    recipe = Recipe(init_from="w.pt", init_digest="6de8121da15e2ddc")
    words = shlex.split(next_command(replace(found(recipe), lr=0.1)))
    assert words == shlex.split("lrbench compare --init-from w.pt --lr 0.05,0.1,0.2")


def test_the_next_command_repeats_what_is_not_the_default() -> None:
    recipe = Recipe(dataset="mnist", optimizer="adam", groups=("*.bias lr=2x",), batch_size=64)
    words = shlex.split(next_command(replace(found(recipe), lr=0.1)))
    assert words == shlex.split(
        "lrbench compare --dataset mnist --optimizer adam --batch-size 64 --group '*.bias lr=2x' "
        "--lr 0.05,0.1,0.2"
    )


@pytest.mark.parametrize(
    ("changes", "option"),
    [
        ({"end_lr": 1000.0}, "--end-lr 1000"),
        ({"start_lr": 1e-8}, "--start-lr 1e-08"),
        ({"points": 200}, "--points 200"),
    ],
)
def test_without_an_answer_the_next_command_makes_the_changes_whatever_the_words(
    changes: dict[str, float], option: str
) -> None:
    reason = "any words that name --seeds, --loss or lower --end-lr"
    assert next_command(not_found(reason, **changes)) == f"lrbench find {option}"


def test_without_an_answer_the_other_options_of_the_range_test_are_repeated() -> None:
    result = not_found("rising: lower --end-lr", end_lr=0.5)
    given = {"mode": "linear", "start_lr": 0.01, "end_lr": 5.0, "points": 50, "verify": False}
    result = replace(result, settings={**result.settings, **given, "val_loss": True})
    assert next_command(result) == (
        "lrbench find --points 50 --start-lr 0.01 --end-lr 0.5 --mode linear --no-verify --val-loss"
    )


def test_no_option_is_named_where_none_would_help() -> None:
    assert next_command(not_found("diverged at once: look at the data and --loss")) == ""


def test_a_result_of_the_python_api_has_no_next_command() -> None:
    result = replace(found(), settings={"optimizer": "SGD"})
    assert next_command(result) == "" and "next:" not in shown(result)


def test_the_bar_takes_every_event_and_can_be_silenced(capsys: pytest.CaptureFixture[str]) -> None:
    events = [
        FindProgress("sweep", 0, 1, 2, 1e-3, 2.3),
        FindProgress("verify", 0, 1, 2, 1e-3, None),
        found(),
    ]
    with find_bar(False) as show:
        for event in events:
            show(event)
    assert capsys.readouterr() == ("", "")
    with find_bar(True) as show:
        for event in events:
            show(event)
    said = capsys.readouterr()
    assert said.out == "" and "check by training" in said.err and "diverged" in said.err
    bars = said.err.strip().splitlines()
    assert len(bars) == 2 and all("1/1" in bar for bar in bars)  # none ends unfinished


def test_without_being_asked_progress_shows_on_a_terminal_only() -> None:
    for terminal in (True, False):
        console = Console(file=io.StringIO(), force_terminal=terminal, width=100)
        with find_bar(None, console) as show:
            show(FindProgress("sweep", 0, 1, 2, 1e-3, 2.3))
        assert ("sweep" in console.file.getvalue()) is terminal  # type: ignore[attr-defined]


def test_an_answer_above_the_stable_limit_is_verified_before_it_is_compared() -> None:
    result = replace(found(), grade="weak", verification=None, changes={"verify": True})
    result = replace(result, settings={**result.settings, "verify": False, "points": 50})
    assert next_command(result) == "lrbench find --points 50 --verify"


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
    checked = {
        "lr": 0.1 / horizon,
        "learns": True,
        "losses": [(lr / horizon, loss) for lr, loss in losses],
        "equally_good": [lr / horizon for lr in equal],
    }
    result = replace(found(Recipe()), lr=0.1, verification=checked)
    assert next_command(result).endswith(f"--lr {lrs}")


def test_a_group_s_own_lr_is_the_highest_in_the_next_command() -> None:
    recipe = Recipe(groups=("*.bias lr=0.01", "1.* lr=2x"))
    aim = {"schedule": "noam", "epochs": 2, "peak": 0.05}
    result = replace(found(recipe), lr=4.0, verification=None, aim=aim)
    assert shlex.split(next_command(result))[2:] == [
        "--group", "*.bias lr=0.0005", "--group", "1.* lr=2.0x", "--lr", "0.1,0.2,0.4",
        "-s", "noam", "--epochs", "2",
    ]  # fmt: skip


@pytest.mark.parametrize("momenta", [[], [0.0, 0.9]])
def test_a_table_names_the_momentum_where_it_was_asked_for(momenta: list[float]) -> None:
    """AdamW has none."""
    result = replace(tabled(), settings={**tabled().settings, "momenta": momenta})
    assert ("momentum" in against_table(result).heads) == bool(momenta)
    assert len(against_table(result).rows[0]) == len(against_table(result).heads)


def test_an_axis_that_shows_a_part_of_the_sweep_says_so() -> None:
    part, whole = (sweep_chart(result).panels[0].x_label for result in (found(), not_found()))
    assert "part shown" in part and "part shown" not in whole
