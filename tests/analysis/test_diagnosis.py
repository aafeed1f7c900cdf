"""Each rule on a curve that has the fault, and none on curves that have not, made or real."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lrbench.analysis import Question, summarise
from lrbench.analysis.diagnosis import (
    RULES,
    Finding,
    diagnose,
    diagnosis_frame,
    diagnosis_lines,
    trial_line,
)
from lrbench.analysis.diagnosis import rules as r
from lrbench.records import CutRecord, EpochRecord, History, TrialEnd
from tests.analysis.made import history as made
from tests.analysis.made import spec

COSINE = [0.05 * (1 + math.cos(math.pi * i / 12)) for i in range(13)]
FALLING = [2.0 * 0.7**i for i in range(1, 13)]


def trained(
    train: Sequence[float] = FALLING,
    val: Sequence[float] | None = None,
    lrs: Sequence[float] = (0.1,),
    *,
    schedule: str = "cosine",
    cuts: Sequence[int] = (),
    clipped: float | None = None,
    epochs: int | None = None,
) -> History:
    """A training with these losses; `lrs` are those at the epochs' borders, the last repeated."""
    count = len(train)
    borders = [*lrs, *[lrs[-1]] * (count + 1 - len(lrs))]
    trial = spec(schedule, 0.1, 0, "final", epochs or count)
    losses = list(val or [1.05 * loss for loss in train])
    records = tuple(
        EpochRecord(
            trial.id, i + 1, 10 * (i + 1), borders[i], borders[i + 1], train[i], 0.9,
            losses[i], 0.9, 1.0, 1000.0,
        )
        for i in range(count)
    )  # fmt: skip
    end = TrialEnd(trial.id, "done", "", count, 10 * count, 2.0, clipped_share=clipped)
    drops = tuple(CutRecord(trial.id, epoch, 0.1, 0.01) for epoch in cuts)
    return History(trial, records, cuts=drops, end=end)


def stairs(*levels: tuple[float, int]) -> list[float]:
    return [level for level, count in levels for _ in range(count)]


def guessing(train: Sequence[float], accuracy: float = 0.1, start: float | None = None) -> History:
    """A training from the loss `start`, the first by default, to that accuracy."""
    found = trained(train, train)
    epochs = tuple(replace(e, val_accuracy=accuracy) for e in found.epochs)
    assert found.end is not None
    return replace(found, epochs=epochs, end=replace(found.end, start_loss=start or train[0]))


def without_accuracy(train: Sequence[float], init_from: str = "") -> History:
    found = guessing(train)
    recipe = found.spec.recipe.model_copy(update={"init_from": init_from})
    return replace(
        found,
        spec=found.spec.model_copy(update={"recipe": recipe}),
        epochs=tuple(replace(e, val_accuracy=None) for e in found.epochs),
    )


def cyclic(history: History) -> History:
    """The same with an LR that starts again every second epoch."""
    epochs = tuple(
        replace(e, lr_first=0.1 if e.epoch % 2 else 0.05, lr_last=0.05 if e.epoch % 2 else 0.001)
        for e in history.epochs
    )
    return replace(history, epochs=epochs)


def stepped(history: History) -> History:
    """The same with one LR in each epoch."""
    return replace(history, epochs=tuple(replace(e, lr_last=e.lr_first) for e in history.epochs))


RESTLESS = [1.5, 2.5, 1.2, 1.9, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.4, 0.4]
NOISY = [2.0, 1.5, 1.0, 0.8, 0.6, 0.5, 0.9, 0.4, 0.9, 0.3, 0.8, 0.4]
RISING = [1.5, 1.0, 0.8, 0.7, 0.75, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.4]
SWINGING = [1.0, 0.8, 1.3, 0.7, 1.1, 0.6, 0.5, 0.45, 0.4, 0.38, 0.37, 0.36]
GAP = ([0.9, 0.5, 0.8, 0.3, 0.7, 0.1], [1.0, 0.6, 1.0, 0.62, 1.1, 0.8])
IDLE = [1.0, 0.8, 0.7, 0.7, 0.71, 0.7, 0.7]
VANISHING = [0.1 * 0.2**i for i in range(13)]

FAULTS: list[tuple[Callable[[History], Finding | None], History, str]] = [
    (r.early_oscillation, trained(RESTLESS), "lower the LR"),
    (r.stagnation, trained([1.0, 0.6, *[0.5] * 10], lrs=VANISHING), "min"),
    (r.validation_noise, trained(FALLING, NOISY), "patience"),
    (r.overfitting, trained(FALLING, RISING), "--early-stop"),
    (r.plateau_never_fired, trained(schedule="plateau(patience=20)"), "patience"),
    (r.plateau_fired_on_noise, trained(schedule="plateau(patience=0)", cuts=[5]), "patience"),
    (r.lr_too_low, trained([2.0 - 0.1 * i for i in range(1, 12)]), "raise the LR"),
    (r.no_progress, guessing([2.31, 2.305, 2.303, 2.303, 2.302]), "lrbench find"),
    (r.no_progress, guessing([0.70, 0.694, 0.693, 0.693], 0.5), "lrbench find"),
    (r.no_progress, without_accuracy([5.0, 4.99, 4.98, 4.97]), "lrbench find"),
    (r.mostly_clipped, trained(clipped=0.8), "raise the limit"),
    (r.fruitless_drop, stepped(trained(IDLE, lrs=stairs((0.1, 4), (0.01, 4)))), "drop it later"),
    (r.swings_at_high_lr, trained(SWINGING, lrs=stairs((0.1, 6), (0.01, 7))), "peak"),
    (r.growing_gap, cyclic(trained(*GAP, lrs=[0.1, 0.05, 0.001])), "cycles"),
    (r.stopped_early, trained(FALLING, lrs=COSINE[:7], epochs=24), "patience"),
]


@pytest.mark.parametrize(
    ("rule", "history", "words"), FAULTS, ids=lambda v: getattr(v, "__name__", "")
)
def test_each_fault_is_found_and_comes_with_the_change_to_make(
    rule: Callable[[History], Finding | None], history: History, words: str
) -> None:
    finding = rule(history)
    assert finding is not None and words in finding.remedy
    assert diagnose(history)[rule.__name__.replace("_", "-")] == finding


def drawn(seed: int, rise: float, noise: float) -> History:
    """Training losses 2 exp(-t/4) and validation losses that in the end rise by `rise` of their
    floor, with relative noise, under a cosine that ends at 0."""
    random = np.random.default_rng(seed)
    count = int(random.integers(10, 41))
    t = np.arange(1, count + 1) * 24 / count
    floor = random.uniform(0.3, 1.5)
    clean = 2 * np.exp(-t / 1.5) + floor * (1 + rise * np.clip(t - 6, 0, None) / 18)
    val = clean * (1 + noise * random.standard_normal(count))
    train = 2.3 * np.exp(-t / 4) * (1 + 0.03 * random.standard_normal(count))
    lrs = [0.05 * (1 + math.cos(math.pi * i / count)) for i in range(count + 1)]
    return trained(train.tolist(), val.tolist(), lrs)


def test_overfitting_is_found_wherever_it_is_plain_and_nowhere_else() -> None:
    """A loss that doubles is found at any length, one that stays is not, however noisy."""
    ill = [diagnose(drawn(seed, 1.0, 0.03)) for seed in range(200)]
    assert sum("overfitting" in found for found in ill) >= 198
    for noise in (0.0, 0.03, 0.1):
        well = [diagnose(drawn(seed, 0.0, noise)) for seed in range(200)]
        assert sum(map(bool, well)) <= 4, noise


def test_where_the_training_loss_is_gone_overfitting_is_said_and_not_stagnation() -> None:
    train = [2.0, 0.84, 0.4, 0.2, 0.1, 0.05, 0.02, 0.01, 0.008, 0.007, 0.007, 0.007]
    val = [2.2, 1.42, 1.6, 1.7, 1.75, 1.8, 1.85, 1.9, 1.93, 1.95, 1.96, 1.97]
    found = diagnose(trained(train, val, lrs=VANISHING))
    assert set(found) == {"overfitting"}
    assert "best after epoch 2 of 12 and is 30 % higher" in found["overfitting"].message


def test_what_moves_far_below_the_loss_of_the_start_is_no_trouble() -> None:
    restless = [0.01, 0.02, 0.008, 0.02, 0.007, 0.01, 0.004, 0.008, 0.003, 0.006, 0.002, 0.004]
    worse = [0.01, 0.005, 0.001, 0.002, 0.003, 0.005, 0.008, 0.01, 0.012, 0.014, 0.015, 0.016]
    rules = (r.early_oscillation, r.validation_noise, r.overfitting)
    for val in (restless, worse):
        learnt = guessing(restless, 1.0, start=2.3)
        epochs = tuple(replace(e, val_loss=v) for e, v in zip(learnt.epochs, val, strict=True))
        assert [rule(replace(learnt, epochs=epochs)) for rule in rules] == [None] * 3


@pytest.mark.parametrize(
    ("schedule", "remedy"),
    [
        ("constant", "nothing to do"),
        ("plateau", "above that of plateau"),
        ("warmup(5%) + cosine", "for a schedule that decays"),
    ],
)
def test_what_to_do_about_an_early_stop_depends_on_the_schedule(schedule: str, remedy: str) -> None:
    found = r.stopped_early(trained(FALLING, schedule=schedule, epochs=24))
    assert found is not None and remedy in found.remedy


def test_a_plug_in_is_no_plateau_by_its_name_alone() -> None:
    named = trained(schedule="tests.own_code:my_plateau")
    assert r.plateau_never_fired(named) is None
    assert r.plateau_fired_on_noise(replace(named, cuts=trained(cuts=[5]).cuts)) is None


def test_every_rule_is_in_the_docs_and_has_a_made_curve() -> None:
    assert {rule for rule, _, _ in FAULTS} == {rule.make for rule in RULES}
    page = (Path(__file__).parents[2] / "docs" / "diagnosis.md").read_text()
    table = "".join(f"| `{rule.name}` | {rule.summary} |\n" for rule in RULES)
    assert table in page


def test_a_short_training_is_said_to_have_the_epochs_that_it_had() -> None:
    found = r.early_oscillation(guessing([2.0, 3.0], start=0.6))
    assert found is not None and "2 times in the first 2 epochs" in found.message


HEALTHY = {
    "cosine": trained(FALLING, lrs=COSINE),
    "constant": trained([2.0 * 0.7**i + 0.05 for i in range(1, 13)], schedule="constant"),
    "step": trained(
        [1.0, 0.5, 0.3, 0.25, 0.15, 0.14, 0.13, 0.13, *[0.12] * 4],
        lrs=stairs((0.1, 4), (0.01, 4), (0.001, 5)),
        schedule="step",
    ),
    "plateau": trained(
        [1.0, 0.5, 0.3, 0.25, 0.25, 0.25, 0.25, 0.15, 0.14, 0.14], schedule="plateau", cuts=[7]
    ),
    "cycles": cyclic(trained([0.9, 0.5, 0.6, 0.4, 0.5, 0.3], [1.0, 0.6, 0.7, 0.5, 0.6, 0.45])),
    "clipped at first": trained(clipped=0.3),
    "a hard problem": guessing([4.4, 4.3, 4.25, 4.2], 0.04, start=4.6),
    "few classes": guessing([0.66, 0.64, 0.63, 0.63], 0.65, start=0.69),
    "four classes": guessing([1.41, 1.38, 1.36, 1.34], 0.44),
    "two hard classes": guessing([0.69, 0.66, 0.65, 0.64], 0.58),
    "fine-tuned from a good start": guessing([0.05, 0.049, 0.048, 0.048], 0.98),
    "gone on with": without_accuracy([1.2, 1.195, 1.19, 1.19], init_from="weights.pt"),
    "a slow language model": without_accuracy([5.0, 4.9, 4.8, 4.7]),
    "warm-up": trained([1.9, *FALLING[:11]], lrs=[0.01, *COSINE[:12]]),
}


@pytest.mark.parametrize("name", HEALTHY)
def test_nothing_is_said_of_a_healthy_training(name: str) -> None:
    assert diagnose(HEALTHY[name]) == {}


def test_the_names_of_the_rules_are_in_the_table_of_trials() -> None:
    question = Question(schedules=("cosine",))
    bad = trained(RESTLESS, clipped=0.8)
    assert bad.end is not None
    lost = replace(bad, end=replace(bad.end, status="failed"))
    rows = summarise([bad, replace(bad, end=None), lost], question).trials
    assert rows["diagnosis"].tolist() == ["early-oscillation;mostly-clipped", "", ""]
    assert rows.columns[-1] == "diagnosis"


def test_a_line_for_a_trial_is_short_where_there_is_little_to_learn() -> None:
    bad = trained(clipped=0.8)
    assert trial_line(bad).startswith("gradients were clipped in 80 % of the steps")
    assert trial_line(bad, {"mostly-clipped"}) == ""
    tuning = replace(bad, spec=bad.spec.model_copy(update={"stage": "tune"}))
    assert trial_line(tuning) == ""
    assert trial_line(trained()) == ""


def test_no_rule_needs_a_whole_curve() -> None:
    for count in range(4):
        for _, history, _ in FAULTS:
            diagnose(replace(history, epochs=history.epochs[:count]))
    diagnose(made(status="diverged"))
    diagnose(made(accuracy=False))


def test_a_run_is_summed_up_by_schedule_and_shown_where_most_trials_have_it() -> None:
    bad = [trained(clipped=0.8), trained(clipped=0.9), trained(clipped=0.1)]
    rare = [trained(clipped=c, schedule="linear") for c in (0.8, 0.1, 0.1)]
    frame = diagnosis_frame([*bad, *rare])
    rows = {row["schedule"]: (row["trials"], row["of"]) for row in frame.to_dict("records")}
    assert rows == {"cosine": (2, 3), "linear": (1, 3)}
    (line,) = diagnosis_lines(frame)
    assert line.startswith("cosine (2 of 3 trials): gradients were clipped in 80 % of the steps")
    assert list(diagnosis_lines(diagnosis_frame([]))) == []
