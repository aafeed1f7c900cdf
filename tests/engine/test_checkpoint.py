"""A trial that goes on from its checkpoint gives the numbers of one that was never stopped."""

from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from lrbench.engine import checkpoint
from lrbench.engine.train import begin, train
from lrbench.options import Recipe
from lrbench.records import EpochRecord, TrialEnd
from tests.engine.tools import epochs_of, resumed, timeless
from tests.toys import Line, trial

SCHEDULES = ("cosine", "plateau(patience=0)", "onecycle")
CONTENDERS = ("schedulefree_sgd", "schedulefree_adamw", "prodigy")


def epochs(task: Any, training: Any) -> list[Any]:
    return timeless(epochs_of(train(task, training)))


@pytest.mark.parametrize(
    ("optimizer", "schedule"),
    [
        *((name, schedule) for name in ("sgd", "adam") for schedule in SCHEDULES),
        *((name, "constant") for name in ("muon", *CONTENDERS)),
    ],
)
def test_resumed_is_equal_to_uninterrupted(tmp_path: Path, optimizer: str, schedule: str) -> None:
    if optimizer in CONTENDERS:
        pytest.importorskip("prodigyopt", reason="the extra 'contenders' is not installed")
    recipe = Recipe(optimizer=optimizer, weight_decay=0.0 if optimizer in CONTENDERS else 5e-4)
    spec = trial(recipe=recipe, schedule=schedule, epochs=6)
    whole = epochs(Line(), begin(Line(), spec))
    assert epochs(Line(), resumed(Line(), spec, 3, tmp_path / "state.pt")) == whole[3:]


class Chancy(Line):
    """Its loss draws from torch's own generator, as dropout does."""

    drawn: ClassVar[list[float]] = []

    def loss(self, model: nn.Module, batch: Any) -> Tensor:
        x, y = batch
        noise = torch.randn_like(y)
        self.drawn.append(float(noise[0]))
        return super().loss(model, (x, y + 0.1 * noise))


def test_chance_within_a_step_is_that_of_the_epoch_whoever_went_before(tmp_path: Path) -> None:
    spec = trial(epochs=4)
    whole = epochs(Chancy(), begin(Chancy(), spec))
    assert len(set(Chancy.drawn)) == 16  # each step has its own
    again = resumed(Chancy(), spec, 2, tmp_path / "state.pt")
    torch.randn(7)
    assert epochs(Chancy(), again) == whole[2:]
    torch.randn(7)
    assert epochs(Chancy(), begin(Chancy(), spec)) == whole


def test_a_training_that_diverged_at_an_epochs_end_does_not_go_on(tmp_path: Path) -> None:
    """Killed between the checkpoint of its last epoch and the line that says how it ended."""
    spec, done = trial(lr=1.2, epochs=6), 0
    for record in train(Line(), stopped := begin(Line(), spec)):
        if isinstance(record, EpochRecord):
            checkpoint.save(stopped, tmp_path / "state.pt")
            done += 1
    assert done < spec.epochs and stopped.diverged
    again = begin(Line(), spec)
    assert checkpoint.restore(again, tmp_path / "state.pt")
    (end,) = train(Line(), again)
    assert isinstance(end, TrialEnd) and end.status == "diverged"
    assert end.reason.startswith(f"the mean loss of epoch {done} was")


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
