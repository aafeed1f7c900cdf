"""The user's own modules and loaders, seen as a Task with splits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from lrbench.errors import UsageError
from lrbench.tasks.base import Split
from lrbench.tasks.loader import LoaderTask, LossFn, StepFn, check_loader, to_device

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


class LoadersTask(LoaderTask):
    """Modules that `make_model` makes, a loss function, and a loader for each split.

    Accuracy is known where a model gives scores [b, classes] for whole-numbered targets [b].
    Without `test` there is no test split.

    Raises:
        UsageError: a loader that can be read only once or is empty, a module without a parameter
            to train.
    """

    def __init__(
        self,
        make_model: Callable[[], nn.Module],
        loss_fn: LossFn | None,
        train: Iterable[Any],
        val: Iterable[Any],
        test: Iterable[Any] | None = None,
        *,
        step: StepFn | None = None,
    ) -> None:
        super().__init__(make_model(), loss_fn, train, step=step, make_model=make_model)
        self._splits = {"val": val} | ({"test": test} if test is not None else {})
        for name, loader in self._splits.items():
            check_loader(name, loader)
        if not getattr(train, "batch_size", None):
            self.samples_per_step = _samples(next(iter(train)))

    def train_batches(self, seed: int, epoch: int) -> Iterator[Any]:
        from lrbench.rangetest.state import generators, seed_all

        seed_all((seed * 1_000_003 + epoch) % 2**63, generators(self._loader))
        return super().train_batches(seed, epoch)

    def evaluate(self, model: nn.Module, split: Split) -> Mapping[str, float]:
        """Mean loss over the split's samples, and accuracy where there is one; nothing for a
        split that is not there."""
        import torch

        device = next(model.parameters()).device
        sums: list[Tensor] = []
        for batch in self._splits.get(split, ()):
            sums.append(self._sums(model, to_device(batch, device)))
        if not sums:
            if split in self._splits:
                raise UsageError(f"{split}: it holds no batch")
            return {}
        loss, right, samples = torch.stack(sums).sum(0).tolist()
        known = right == right
        return {"loss": loss / samples} | ({"accuracy": right / samples} if known else {})

    def _sums(self, model: nn.Module, batch: Any) -> Tensor:
        """float64 `[3]`: summed loss, right answers or NaN, samples."""
        import torch

        samples = _samples(batch)
        right = torch.tensor(float("nan"))
        if self._step is not None:
            result = self._step(model, batch)
            loss = result[0] if isinstance(result, tuple) else result
            right = result[1] if isinstance(result, tuple) else right
        else:
            assert self._loss_fn is not None
            *inputs, target = batch
            output = model(*inputs)
            loss = self._loss_fn(output, target)
            if _is_classification(output, target):
                right = (output.argmax(1) == target).sum()
        parts = (loss.double() * samples, right.double().to(loss.device))
        return torch.stack([*parts, torch.tensor(float(samples), device=loss.device).double()])


def _is_classification(output: Any, target: Any) -> bool:
    import torch

    tensors = isinstance(output, torch.Tensor) and isinstance(target, torch.Tensor)
    return bool(
        tensors
        and output.ndim == 2
        and output.shape[1] > 1
        and target.ndim == 1
        and len(output) == len(target)
        and not target.is_floating_point()
    )


def _samples(batch: Any) -> int:
    """The length of the first tensor in a batch."""
    for tensor in _tensors(batch):
        return len(tensor) if tensor.ndim else 1
    return 1


def _tensors(batch: Any) -> Iterator[torch.Tensor]:
    import torch

    if isinstance(batch, torch.Tensor):
        yield batch
    elif isinstance(batch, Mapping):
        for value in batch.values():
            yield from _tensors(value)
    elif isinstance(batch, (tuple, list)):
        for value in batch:
            yield from _tensors(value)
