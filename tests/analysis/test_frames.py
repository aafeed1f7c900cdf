import pandas as pd
import pytest

from lrbench.analysis import Question
from lrbench.analysis.frames import (
    EPOCHS,
    STEPS,
    TRIALS,
    area_under,
    default_target,
    epochs_frame,
    in_order,
    reached,
    steps_frame,
    trials_frame,
)
from lrbench.records import History, StepRecord
from tests.analysis.made import finals, history, tuned


def test_the_columns_are_there_with_and_without_rows() -> None:
    empty = (trials_frame([], None), epochs_frame([]), steps_frame([]))
    for frame, columns in zip(empty, (TRIALS, EPOCHS, STEPS), strict=True):
        assert list(frame.columns) == [each.name for each in columns] and len(frame) == 0
    full = trials_frame(finals({"cosine": [0.9]}), None)
    assert list(full.columns) == list(empty[0].columns)


def test_a_trial_becomes_a_row() -> None:
    row = trials_frame([history(final=0.8, curve=[0.7, 0.6])], 0.65).iloc[0]
    assert row[["status", "epochs", "steps", "train_s"]].tolist() == ["done", 2, 20, 4.0]
    accuracies = row[["val_accuracy", "best_val_accuracy", "test_accuracy"]]
    assert accuracies.tolist() == [0.6, 0.7, 0.8]
    assert row["val_loss"] == pytest.approx(0.8)
    assert (row["epochs_to_target"], row["time_to_target_s"]) == (1, 2)
    assert row["val_auc"] == pytest.approx(0.65)
    assert pd.isna(row["peak_mem_bytes"])
    under_way = trials_frame([history(status=None)], None).iloc[0]
    assert under_way[["status", "epochs", "steps"]].tolist() == [None, 2, 20]


def test_the_order_does_not_tell_which_trial_ran_first() -> None:
    trials = [
        *tuned("step", {0.1: 0.5, 0.05: 0.5}),
        *finals({"cosine": [0.9, 0.8], "step": [0.7, 0.7]}),
    ]
    question = Question(("step", "cosine"))
    ordered = in_order(trials, question)
    assert [h.spec.id for h in in_order(trials[::-1], question)] == [h.spec.id for h in ordered]
    named = [(h.spec.stage, h.spec.schedule, h.spec.lr) for h in ordered]
    assert named[:3] == [("tune", "step", 0.05), ("tune", "step", 0.1), ("final", "step", 0.1)]
    assert named[-1] == ("final", "cosine", 0.1)


def test_epochs_and_steps_keep_every_record() -> None:
    one = history(curve=[0.5, 0.7])
    records = ((0, 0.1, None, 2.3), (1, 1.0, 0.9, None))
    steps = tuple(StepRecord(one.spec.id, 0, *record) for record in records)
    both = [History(one.spec, one.epochs, steps, end=one.end), history(seed=1)]
    epochs = epochs_frame(both)
    assert len(epochs) == 4
    assert epochs["val_accuracy"].tolist()[:2] == [0.5, 0.7]
    assert set(epochs["stage"]) == {"final"}
    frame = steps_frame(both)
    assert frame["lr"].tolist() == [0.1, 1.0]
    assert pd.isna(frame["momentum"][0]) and pd.isna(frame["train_loss"][1])


def test_the_target_is_a_share_of_the_best_mean_of_finals_that_ended_well() -> None:
    trials = finals({"cosine": [0.9, 0.8], "step": [0.7, 0.7]})
    assert default_target(trials) == pytest.approx(0.99 * 0.85)
    trials = [
        *finals({"cosine": [0.8, None]}),
        history("step", 0.99, stage="tune"),
        history("step", 0.99, status=None),
    ]
    assert default_target(trials) == pytest.approx(0.99 * 0.8)
    assert default_target([]) is None
    assert default_target(finals({"cosine": [0.8]}, accuracy=False)) is None


@pytest.mark.parametrize(
    ("curve", "target", "expected"),
    [
        ([0.5, 0.7, 0.9], 0.8, (2.5, 5.0)),
        ([0.5, 0.7, 0.9], 0.7, (2.0, 4.0)),
        ([0.5, 0.7, 0.9], 0.4, (1.0, 2.0)),
        ([0.9, 0.7, 0.95], 0.8, (1.0, 2.0)),
        ([0.5, 0.7, 0.9], 0.91, (None, None)),
    ],
)
def test_linear_between_epochs_and_never_stays_never(
    curve: list[float], target: float, expected: tuple[float | None, float | None]
) -> None:
    epochs = history(curve=curve, epochs=3).epochs
    assert reached(epochs, target) == pytest.approx(expected)


def test_no_target_and_no_epochs() -> None:
    assert reached(history().epochs, None) == (None, None)
    assert reached((), 0.5) == (None, None)
    assert reached(history(accuracy=False).epochs, 0.5) == (None, None)


def test_the_area_is_a_height() -> None:
    assert area_under([0.5, 0.7, 0.9]) == pytest.approx(0.7)
    assert area_under([0.6]) == 0.6
    assert area_under([]) is None
    assert area_under([0.5, None]) is None
