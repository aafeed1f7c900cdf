"""A trial that goes on from its checkpoint gives the numbers of one that was never stopped."""

from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lrbench.engine import checkpoint
from lrbench.engine.train import Training, begin, train
from lrbench.options import Recipe, TrialSpec
from lrbench.records import EpochRecord, Record, TrialEnd
from tests.toys import Line, trial


def epochs(task: Any, training: Any) -> list[EpochRecord]:
    found = train(task, training)
    timeless = {"train_s": 0.0, "throughput_img_s": 0.0}
    return [replace(r, **timeless) for r in found if isinstance(r, EpochRecord)]


def resumed(task: Any, spec: TrialSpec, done: int, path: Path) -> Training:
    """A new training from the checkpoint of one that was stopped after some epochs."""
    stopped = begin(task, spec)
    list(islice((r for r in train(task, stopped) if isinstance(r, EpochRecord)), done))
    checkpoint.save(stopped, path)
    found = begin(task, spec)
    assert checkpoint.restore(found, path)
    return found


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("schedule", ["cosine", "plateau(patience=0)", "onecycle"])
def test_resumed_is_equal_to_uninterrupted(tmp_path: Path, optimizer: str, schedule: str) -> None:
    spec = trial(recipe=Recipe(optimizer=optimizer), schedule=schedule, epochs=6)
    whole = epochs(Line(), begin(Line(), spec))
    assert epochs(Line(), resumed(Line(), spec, 3, tmp_path / "state.pt")) == whole[3:]


class Chancy(Line):
    """Its loss draws from torch's own generator, as dropout does."""

    def loss(self, model: nn.Module, batch: Any) -> Tensor:
        x, y = batch
        return super().loss(model, (x, y + 0.1 * torch.randn_like(y)))


def test_chance_within_a_step_is_that_of_the_epoch_whoever_went_before(tmp_path: Path) -> None:
    spec = trial(epochs=4)
    whole = epochs(Chancy(), begin(Chancy(), spec))
    again = resumed(Chancy(), spec, 2, tmp_path / "state.pt")
    torch.randn(7)
    assert epochs(Chancy(), again) == whole[2:]
    torch.randn(7)
    assert epochs(Chancy(), begin(Chancy(), spec)) == whole


def test_a_training_that_diverged_at_an_epochs_end_does_not_go_on(tmp_path: Path) -> None:
    """Killed between the checkpoint of its last epoch and the line that says how it ended."""
    spec = trial(lr=1.2, epochs=6)
    found = train(Line(), stopped := begin(Line(), spec))
    until_end = [record for record in found if save_at_epoch(record, stopped, tmp_path)]
    assert len(until_end) < spec.epochs and stopped.diverged
    again = begin(Line(), spec)
    assert checkpoint.restore(again, tmp_path / "state.pt")
    (end,) = train(Line(), again)
    assert isinstance(end, TrialEnd) and end.status == "diverged"
    assert end.reason.startswith(f"the mean loss of epoch {len(until_end)} was")


def save_at_epoch(record: Record, training: Any, folder: Path) -> bool:
    if isinstance(record, EpochRecord):
        checkpoint.save(training, folder / "state.pt")
    return isinstance(record, EpochRecord)


def test_a_checkpoint_of_another_trial_or_a_damaged_one_is_not_used(tmp_path: Path) -> None:
    path = tmp_path / "state.pt"
    training = begin(Line(), trial())
    assert not checkpoint.restore(training, path)
    checkpoint.save(training, path)
    assert not checkpoint.restore(begin(Line(), trial(seed=1)), path)
    whole = path.read_bytes()
    middle = len(whole) // 2
    flipped = whole[:middle] + bytes([whole[middle] ^ 4]) + whole[middle + 1 :]
    for broken in (b"", whole[:middle], flipped, b"cos\nsystem\n(S'true'\ntR."):
        path.write_bytes(broken)
        assert not checkpoint.restore(begin(Line(), trial()), path)
