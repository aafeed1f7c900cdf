import io
from dataclasses import replace

import pytest
from rich.console import Console

from lrbench.analysis import Question, Summary, summarise
from lrbench.options import Recipe
from lrbench.report.compared import setting_text
from lrbench.report.console import answer
from tests.analysis.made import finals, tuned
from tests.report.hostile import NAMES

SEVERAL = {
    "constant": [0.95, 0.951, 0.949],
    "warmup(5%) + cosine": [0.975, 0.976, 0.974],
    "linear": [0.974, 0.976, 0.975],
    "onecycle": [0.99, None, 0.99],
}


def shown(summary: Summary, width: int = 80, colour: bool = False, details: bool = False) -> str:
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=colour, highlight=False)
    console.print(answer(summary, details=details))
    return out.getvalue()


def several(question: Question | None = None) -> Summary:
    trials = [*tuned("linear", {0.1: 0.9, 0.2: 0.8}), *finals(SEVERAL)]
    return summarise(trials, question or Question(reference="constant", test_size=1000))


def test_the_answer_says_all_that_matters() -> None:
    text = shown(several())
    rows = [" ".join(line.split()) for line in text.splitlines()]
    assert "1-3 onecycle 0.1 99.00 ± 0.37 % best 2, 1 failed" in rows
    assert any(row.startswith("4 constant ") for row in rows)
    assert "over constant" in text and "better" in text
    words = " ".join(text.split())
    assert words.startswith("Use onecycle at LR 0.1: 99.0") and "linear lost none." in words
    assert "With 2 seeds it reliably detects differences of" in words


def test_the_rest_is_shown_with_details_alone() -> None:
    short, whole = (" ".join(shown(several(), details=each).split()) for each in (False, True))
    for word in ("wins:", "never", "Told apart: onecycle better than constant"):
        assert word in whole and word not in short
    assert whole.startswith(short)


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_any_width_keeps_every_digit(width: int) -> None:
    text = shown(several(), width)
    assert max(map(len, text.splitlines())) <= width
    assert "97.50" in text and "…" not in text and "\x1b" not in text


def test_where_a_table_has_no_room_each_schedule_has_its_lines() -> None:
    lines = [" ".join(line.split()) for line in shown(several(), 40).splitlines()]
    text = " ".join(lines)
    assert "1-3 onecycle" in lines and "2, 1 failed" in text and "─" not in text
    assert "LR 0.1 · test accuracy 97.50 ± 0.25 % ·" in text
    one = shown(summarise(finals({"a": [0.9, 0.91, 0.92]}), Question()), 40)
    assert "finds differences from" in " ".join(one.split())


@pytest.mark.parametrize("colour", [False, True])
def test_hostile_names_stay_text(colour: bool) -> None:
    trials = finals({name: [0.9, 0.8] for name in NAMES})
    text = shown(summarise(trials, Question(reference="[/red]evil")), colour=colour)
    assert "[/red]evil" in text and "[bold]loud[/bold]" in text and len(text) < 20_000
    assert not [mark for mark in ("\x1b]0;", "\x07", "\u202e", "\x1b[31m") if mark in text]


@pytest.mark.parametrize("known", [True, False])
def test_no_footer_explains_an_accuracy_where_there_is_none(known: bool) -> None:
    trials = finals({"a": [0.9, 0.8], "b": [0.8, 0.9]}, accuracy=known)
    text = shown(summarise(trials, Question()), details=True)
    assert ("LR width:" in text) == known and "LR cost:" in text


def test_seeds_at_chance_are_not_cut_off() -> None:
    names = ("warmup(500it) + cosine(min=1%)", "cosine(min=1%,duration=100%)", "step")
    trials = finals({name: [0.9712, 0.1, 0.1, 0.98] for name in names})
    text = shown(summarise(trials, Question(test_size=1000, classes=10)))
    assert text.count("2, 2 at chance") == 3
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize(("lrs", "said"), [([0.1], True), ([0.1, 0.2], False), ([], False)])
def test_one_named_lr_is_said_to_be_untuned(lrs: list[float], said: bool) -> None:
    experiment = {"recipe": {"dataset": "mnist5k"}, "lrs": lrs}
    text = shown(several(Question(manifest={"experiment": experiment})), 120)
    assert "mnist5k · " in text and ("not tuned" in text) == said


def test_a_task_with_a_batch_size_of_its_own_and_trainings_cut_short_have_none() -> None:
    manifest = {"experiment": {"recipe": {"task": "m:T"}}, "data": {"takes_batch_size": False}}
    for value, length in ((0.9, "2 epochs (20 steps)"), (None, "2 epochs")):
        summary = summarise(finals({"a": [value, None]}), Question(manifest=manifest))
        assert setting_text(summary).endswith(f" · {length}")


def test_an_arm_with_a_batch_size_of_its_own_has_its_own_steps() -> None:
    manifest = {"experiment": {"recipe": {"dataset": "mnist5k"}}}
    question = Question(("cosine",), manifest=manifest)
    plain = finals({"cosine": [0.9, 0.91]})
    assert setting_text(summarise(plain, question)) == ("mnist5k · 2 epochs (20 steps) · batch 128")
    changes = {"arm": "big", "ranked_with": 128, "recipe": Recipe(batch_size=512)}
    arm = [
        replace(each, spec=each.spec.model_copy(update=changes), end=replace(each.end, steps=5))
        for each in finals({"cosine": [0.95, 0.96]})
        if each.end
    ]
    assert setting_text(summarise([*plain, *arm], question)) == (
        "mnist5k · 2 epochs · batch 128 (20 steps), big: 512 (5 steps)"
    )
