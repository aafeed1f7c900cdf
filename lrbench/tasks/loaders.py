"""The user's own modules and loaders as a Task."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset, IterableDataset, RandomSampler

from lrbench.errors import UsageError
from lrbench.tasks.base import Split, to_device
from lrbench.tasks.randomness import generators, seed_all

LossFn = Callable[..., Any]
StepFn = Callable[[Any, Any], Any]


class LoaderTask:
    """A module, a loss function and a re-iterable of batches.

    A batch is `(input, ..., target)`, or anything that `step(model, batch)` computes a loss from.
    With `make_model`, each seed draws new weights; otherwise every training continues with `model`.
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
        if isinstance(loss_fn, type):
            raise UsageError(f"loss_fn: {loss_fn.__name__} is a class: pass {loss_fn.__name__}()")
        if loss_fn is not None and not callable(loss_fn):
            raise UsageError(f"loss_fn {loss_fn!r:.60}: must be a function or a module")
        parameter = next((p for p in model.parameters() if p.requires_grad), None)
        if parameter is None:
            raise UsageError("model: it has no trainable parameters")
        self._module = model
        self._make_model = make_model
        self._loss_fn = loss_fn
        self._step = step
        self._loader = loader
        self._device = parameter.device
        if known_length(loader) == 0:
            raise UsageError("loader: it holds no batches")
        self.samples_per_step = int(getattr(loader, "batch_size", None) or 1)

    @property
    def shuffles(self) -> bool:
        return isinstance(getattr(self._loader, "sampler", None), RandomSampler)

    @cached_property
    def steps_per_epoch(self) -> int:
        """The loader's length, counted if it has no `__len__`."""
        length = known_length(self._loader)
        if length is None and hasattr(self._loader, "__len__"):
            raise UsageError(
                "loader: it has no length, so an epoch has none", hint="give its dataset a __len__"
            )
        length = sum(1 for _ in self._loader) if length is None else length
        if length == 0:
            raise UsageError("loader: it holds no batches")
        return length

    def model(self, seed: int) -> nn.Module:
        if self._make_model is None:
            return self._module
        # listed, because torch warns if it must find the devices itself
        with torch.random.fork_rng(range(torch.cuda.device_count())):
            torch.manual_seed(seed)
            made = self._make_model()
        if made is None:
            raise UsageError("make_model: it returned None, not a module")
        if made is self._module:
            raise UsageError(
                "make_model: it returned the same module twice",
                hint="make a new one in each call, or return copy.deepcopy(module)",
            )
        return made.to(self._device)

    def train_batches(self, seed: int, epoch: int) -> Iterator[Any]:
        seed_all((seed * 1_000_003 + epoch) % 2**63, generators(self._loader))
        for batch in self._loader:
            yield to_device(batch, self._device)

    def loss(self, model: nn.Module, batch: Any) -> Tensor | tuple[Tensor, Tensor]:
        found: Tensor | tuple[Tensor, Tensor]
        if self._step is not None:
            found = self._step(model, batch)
        else:
            found, _ = self._loss_and_output(model, batch)
        name = "loss_fn" if self._step is None else "step"
        check_loss(name, found[0] if isinstance(found, tuple) else found)
        return found

    def _loss_and_output(self, model: nn.Module, batch: Any) -> tuple[Any, Any]:
        assert self._loss_fn is not None
        if not isinstance(batch, (tuple, list)) or len(batch) < 2:
            raise UsageError(
                f"loader: a batch is a {type(batch).__name__}, not (input, target)",
                hint="pass step=(model, batch) -> loss",
            )
        output = model(*batch[:-1])
        return self._loss_fn(output, batch[-1]), output

    def evaluate(self, model: nn.Module, split: Split) -> Mapping[str, float]:
        raise UsageError(f"this task has no {split} split")


class LoadersTask(LoaderTask):
    """Modules from `make_model`, a loss function, and a loader for each split.

    Accuracy is defined if the model returns scores [b, classes] for integer targets [b]. Without
    `test` there is no test split.
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
        if isinstance(make_model, nn.Module) or not callable(make_model):
            raise UsageError(
                f"make_model: got a {type(make_model).__name__}",
                hint="pass a function or a class that makes a new module",
            )
        super().__init__(make_model(), loss_fn, train, step=step, make_model=make_model)
        self._splits = {"val": val} | ({"test": test} if test is not None else {})
        for name, loader in self._splits.items():
            check_loader(name, loader)
        if not getattr(train, "batch_size", None):
            self.samples_per_step = _samples(next(iter(train)))

    def evaluate(self, model: nn.Module, split: Split) -> Mapping[str, float]:
        """Mean loss over the split's samples, and accuracy if defined; empty without the split."""
        device = next(model.parameters()).device
        sums = [self._sums(model, to_device(b, device)) for b in self._splits.get(split, ())]
        if not sums:
            if split in self._splits:
                raise UsageError(f"{split}: it holds no batches")
            return {}
        loss, right, samples = torch.stack(sums).sum(0).tolist()
        accuracy = {} if math.isnan(right) else {"accuracy": right / samples}
        return {"loss": loss / samples} | accuracy

    def _sums(self, model: nn.Module, batch: Any) -> Tensor:
        """float64 `[3]`: summed loss, correct answers or NaN, samples."""
        samples = _samples(batch)
        right = torch.tensor(math.nan)
        if self._step is not None:
            result = self._step(model, batch)
            loss, right = result if isinstance(result, tuple) else (result, right)
        else:
            loss, output = self._loss_and_output(model, batch)
            if _is_classification(output, batch[-1]):
                right = (output.argmax(1) == batch[-1]).sum()
        parts = (loss.double() * samples, right.double().to(loss.device))
        return torch.stack([*parts, torch.tensor(float(samples), device=loss.device).double()])


def check_loader(name: str, loader: Any) -> None:
    """Raise UsageError if a loader cannot be read repeatedly; draws no batch from it."""
    hint = "pass a DataLoader or a list of batches"
    if isinstance(loader, Dataset) and not isinstance(loader, IterableDataset):
        hint = "pass DataLoader(dataset, batch_size=...)"
        raise UsageError(f"{name}: a {type(loader).__name__} holds samples, not batches", hint=hint)
    if isinstance(loader, Iterator) and iter(loader) is loader:
        raise UsageError(f"{name}: it can be read only once", hint=f"{hint}, not an iterator")
    if not isinstance(loader, Iterable) and not hasattr(loader, "__getitem__"):
        raise UsageError(f"{name}: a {type(loader).__name__} holds no batches", hint=hint)


def check_loss(name: str, loss: Any) -> None:
    """Raise UsageError unless the loss is a single number with a gradient."""
    if not isinstance(loss, torch.Tensor):
        raise UsageError(f"{name}: it returned a {type(loss).__name__}, not a loss tensor")
    if loss.numel() != 1:
        hint = "return their mean"
        raise UsageError(f"{name}: it returned {loss.numel()} numbers, not one", hint=hint)
    if torch.is_grad_enabled() and not (loss.requires_grad and loss.is_floating_point()):
        raise UsageError(
            f"{name}: its loss has no gradient",
            hint="make it from the model's outputs, without .detach(), .item() or complex numbers",
        )


def known_length(loader: Any) -> int | None:
    """`len(loader)`; None if it has none, like a DataLoader of an IterableDataset."""
    try:
        return len(loader)
    except TypeError:
        return None


def _is_classification(output: Any, target: Any) -> bool:
    return bool(
        isinstance(output, torch.Tensor)
        and isinstance(target, torch.Tensor)
        and output.ndim == 2
        and output.shape[1] > 1
        and target.ndim == 1
        and len(output) == len(target)
        and not target.is_floating_point()
    )


def _samples(batch: Any) -> int:
    """The length of the first tensor in a batch; 1 if there is none."""
    first = next(_tensors(batch), None)
    return len(first) if first is not None and first.ndim else 1


def _tensors(batch: Any) -> Iterator[torch.Tensor]:
    if isinstance(batch, torch.Tensor):
        yield batch
    elif isinstance(batch, (Mapping, tuple, list)):
        for value in batch.values() if isinstance(batch, Mapping) else batch:
            yield from _tensors(value)
