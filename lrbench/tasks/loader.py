"""The user's own module and loader, seen as a Task."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from lrbench.errors import UsageError
from lrbench.tasks.base import Split

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

LossFn = Callable[..., Any]
StepFn = Callable[[Any, Any], Any]


class LoaderTask:
    """A module, a loss function and a re-iterable of batches.

    A batch is `(input, target)`, `(input, ..., input, target)`, or whatever `step(model, batch)`
    makes a loss from. The module that is handed in is trained in place and put back to its
    first weights for every new training; with `make_model`, a seed draws new weights instead.

    Raises:
        UsageError: the loader can be read only once, or is empty, or the module has no
            parameter to train.
    """

    def __init__(
        self,
        model: nn.Module,
        loss_fn: LossFn | None,
        loader: Iterable[Any],
        *,
        step: StepFn | None = None,
        make_model: Callable[[], nn.Module] | None = None,
    ) -> None:
        check_loader("loader", loader)
        if loss_fn is None and step is None:
            raise UsageError("loss_fn: pass a loss function, or step=(model, batch) -> loss")
        parameter = next((p for p in model.parameters() if p.requires_grad), None)
        if parameter is None:
            raise UsageError("model: it has no parameter to train")
        self._module = model
        self._first_state = copy.deepcopy(model.state_dict())
        self._make_model = make_model
        self._loss_fn = loss_fn
        self._step = step
        self._loader = loader
        self._device = parameter.device
        if hasattr(loader, "__len__"):
            _ = self.steps_per_epoch  # any other is counted where that is needed: it may not end
        self.samples_per_step = int(getattr(loader, "batch_size", None) or 1)

    @cached_property
    def steps_per_epoch(self) -> int:
        return _length(self._loader)

    def model(self, seed: int) -> nn.Module:
        import torch

        if self._make_model is None:
            self._module.load_state_dict(self._first_state)
            return self._module
        # named, since torch warns where it has to find them
        with torch.random.fork_rng(range(torch.cuda.device_count())):
            torch.manual_seed(seed)
            return self._make_model().to(self._device)

    def train_batches(self, seed: int, epoch: int) -> Iterator[Any]:
        import torch

        torch.manual_seed((seed * 1_000_003 + epoch) % 2**63)
        for batch in self._loader:
            yield to_device(batch, self._device)

    def loss(self, model: nn.Module, batch: Any) -> Tensor | tuple[Tensor, Tensor]:
        if self._step is not None:
            result: Tensor | tuple[Tensor, Tensor] = self._step(model, batch)
            check_loss("step", result[0] if isinstance(result, tuple) else result)
            return result
        assert self._loss_fn is not None
        if not isinstance(batch, (tuple, list)) or len(batch) < 2:
            raise UsageError(
                f"loader: a batch is a {type(batch).__name__}, not (input, target)",
                hint="pass step=(model, batch) -> loss",
            )
        *inputs, target = batch
        loss: Tensor = self._loss_fn(model(*inputs), target)
        check_loss("loss_fn", loss[0] if isinstance(loss, tuple) else loss)
        return loss

    def evaluate(self, model: nn.Module, split: Split) -> Mapping[str, float]:
        raise UsageError(f"this task has no {split} split")


def check_loader(name: str, loader: Any) -> None:
    """Refuse what cannot be read again and again; nothing is drawn from a DataLoader."""
    hint = "pass a DataLoader or a list of batches"
    if isinstance(loader, Iterator) and iter(loader) is loader:
        raise UsageError(f"{name}: it can be read only once", hint=f"{hint}, not an iterator")
    if not isinstance(loader, Iterable) and not hasattr(loader, "__getitem__"):
        raise UsageError(f"{name}: a {type(loader).__name__} holds no batches", hint=hint)


def check_loss(name: str, loss: Any) -> None:
    """Refuse what is no loss to go backward from: one number with a gradient."""
    import torch

    if not isinstance(loss, torch.Tensor):
        raise UsageError(f"{name}: it gave a {type(loss).__name__}, not a loss tensor")
    if loss.numel() != 1:
        hint = "return their mean"
        raise UsageError(f"{name}: it gave {loss.numel()} numbers, not one loss", hint=hint)
    if torch.is_grad_enabled() and not (loss.requires_grad and loss.is_floating_point()):
        raise UsageError(
            f"{name}: its loss has no gradient",
            hint="make it from the model's outputs, without .detach(), .item() or complex numbers",
        )


def to_device(batch: Any, device: torch.device) -> Any:
    """The batch with every tensor in it moved to the device, containers kept."""
    if hasattr(batch, "to"):
        return batch.to(device)
    if isinstance(batch, Mapping):
        return {key: to_device(value, device) for key, value in batch.items()}
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(to_device(item, device) for item in batch))
    if isinstance(batch, (tuple, list)):
        return type(batch)(to_device(item, device) for item in batch)
    return batch


def _length(loader: Iterable[Any]) -> int:
    try:
        length = len(loader)  # type: ignore[arg-type]
    except TypeError:
        length = sum(1 for _ in loader)
    if length == 0 or not math.isfinite(length):
        raise UsageError("loader: it holds no batch")
    return length
