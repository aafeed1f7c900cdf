"""What the training loop sees of a problem, and all that it sees."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from torch import Tensor, nn

Split = Literal["val", "test"]


class Task(Protocol):
    """A problem to train on.

    `steps_per_epoch` batches make an epoch and each holds `samples_per_step` samples (images,
    rows, sequences: whatever throughput counts).
    """

    samples_per_step: int

    @property
    def steps_per_epoch(self) -> int: ...

    def model(self, seed: int) -> nn.Module:
        """A new model on the task's device; the seed alone fixes its weights."""
        ...

    def train_batches(self, seed: int, epoch: int) -> Iterable[Any]:
        """The batches of one epoch (counted from 0); order and augmentation follow from the
        seed and the epoch alone."""
        ...

    def loss(self, model: nn.Module, batch: Any) -> Tensor | tuple[Tensor, Tensor]:
        """The mean loss of a batch, alone or with the number of right answers; both stay on
        the device."""
        ...

    def evaluate(self, model: nn.Module, split: Split) -> Mapping[str, float]:
        """`loss`, and `accuracy` as a fraction where that means something, over a split."""
        ...


class OrderedTask(Task, Protocol):
    """A task whose batches follow on the device from a tensor that chance decides beforehand."""

    def orders(self, seed: int, epoch: int) -> Tensor:
        """int64 `[steps_per_epoch, ...]`: for each batch of `train_batches` what makes it."""
        ...

    def ordered_batch(self, order: Tensor) -> Any:
        """The batch of one order, which lies on the device; nothing waits for it."""
        ...
