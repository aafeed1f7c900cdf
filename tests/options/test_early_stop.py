"""Early stopping: when, why, and again after a crash."""

from pathlib import Path

import pytest

from lrbench.engine import checkpoint
from lrbench.engine.train import begin, train
from lrbench.errors import UsageError
from lrbench.options.early_stop import EarlyStop, Seen
from lrbench.records import EpochRecord
from tests.toys import PLAIN, Line, trial


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("patience=0", "patience 0: must be at least 1"),
        ("patience=1.5", "patience 1.5"),
        ("metric=speed", "metric speed: must be val_loss"),
        ("min_delta=-1", "min_delta -1"),
        ("min_delta=nan", "min_delta nan"),
        ("patince=3", "unknown key 'patince'; did you mean patience?"),
    ],
)
def test_a_wrong_text_is_one_line(text: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        EarlyStop.parse(text)
    assert words in str(caught.value)


def stopped_after(curve: list[float], text: str) -> int:
    stop, seen = EarlyStop.parse(text), Seen()
    for epoch, value in enumerate(curve, 1):
        seen = stop.observe(seen, {stop.metric: value})
        if stop.reason(seen, epoch, 100):
            return epoch
    return 0


def test_it_counts_epochs_without_an_improvement_in_a_row() -> None:
    falling = [1.0, 0.9, 0.95, 0.95, 0.8, 0.9, 0.9, 0.9, 0.1]
    assert stopped_after(falling, "patience=3") == 8
    assert stopped_after(falling, "patience=2") == 4
    assert stopped_after(falling, "patience=2,min_delta=0.15") == 3
    assert stopped_after([-v for v in falling], "patience=3,metric=val_accuracy") == 8
    assert stopped_after([1.0, float("nan"), float("nan")], "patience=2") == 3
    assert stopped_after([1.0, 0.5, 0.25], "patience=1") == 0


SPEC = trial(
    lr=0.05, epochs=60, recipe=PLAIN.model_copy(update={"early_stop": "patience=2,min_delta=0.01"})
)


def test_a_training_ends_when_it_stops_getting_better() -> None:
    *epochs, end = list(train(Line(), begin(Line(), SPEC)))
    assert end.status == "done" and end.epochs == len(epochs) < 60
    assert f"stopped early after epoch {end.epochs} of 60: the best val_loss" in end.reason
    losses = [epoch.val_loss for epoch in epochs]
    assert min(losses[:-2]) - min(losses[-2:]) < 0.01
    assert min(losses[:-3]) - losses[-3] > 0.01


def test_at_the_last_epoch_nothing_is_stopped() -> None:
    recipe = PLAIN.model_copy(update={"early_stop": "patience=1,min_delta=100"})
    (*_, end) = list(train(Line(), begin(Line(), trial(recipe=recipe, epochs=2))))
    assert (end.epochs, end.reason) == (2, "")


def test_a_task_that_does_not_measure_the_metric_is_told_so() -> None:
    recipe = PLAIN.model_copy(update={"early_stop": "metric=val_accuracy"})
    with pytest.raises(UsageError, match="--early-stop metric=val_accuracy"):
        list(train(Line(), begin(Line(), trial(recipe=recipe))))


@pytest.mark.parametrize("kept", [1, 2, -1], ids=["first", "second", "last"])
def test_a_stopped_training_stops_at_the_same_epoch_after_a_crash(
    kept: int, tmp_path: Path
) -> None:
    """Also where the last checkpoint was made after the epoch that stopped it."""
    recipe = SPEC.recipe.model_copy(update={"ema": 0.9, "clip_norm": 1.0})
    spec = SPEC.model_copy(update={"recipe": recipe})
    whole = list(train(Line(), begin(Line(), spec)))
    count = whole[-1].epochs if kept < 0 else kept
    first = begin(Line(), spec)
    for record in train(Line(), first):
        if isinstance(record, EpochRecord) and record.epoch == count:
            checkpoint.save(first, tmp_path / "state.pt")
            break
    second = begin(Line(), spec)
    assert checkpoint.restore(second, tmp_path / "state.pt")
    rest = list(train(Line(), second))
    seen = [(r.val_loss, r.ema_val_loss, r.clipped_share) for r in whole[count:-1]]
    assert [(r.val_loss, r.ema_val_loss, r.clipped_share) for r in rest[:-1]] == seen
    assert (rest[-1].reason, rest[-1].clipped_share) == (whole[-1].reason, whole[-1].clipped_share)
