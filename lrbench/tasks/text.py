"""Next-character prediction on a text held on the device."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from lrbench import models
from lrbench.data.resident import epoch_seed
from lrbench.data.text import CONTEXT, VOCABULARY, TextData
from lrbench.errors import UsageError
from lrbench.options import Recipe
from lrbench.tasks.base import Split, built, evaluating

EVALUATION_BATCH = {"cpu": 64, "cuda": 1000}


class TextTask:
    """The recipe's network on the parts of a text, uint8 `[n]` on the device, with cross-entropy.

    A sample is a window: `CONTEXT` characters, each of which predicts the next. Without `with_test`
    the task has no test part, so tuning cannot read it.
    """

    def __init__(
        self, parts: Mapping[str, Tensor], recipe: Recipe, device: torch.device, *, with_test: bool
    ) -> None:
        models.check(recipe.model, recipe.weights, "text")
        self._parts = {key: part for key, part in parts.items() if with_test or key != "test"}
        self._recipe, self._device = recipe, device
        self._windows = len(parts["train"]) // CONTEXT - 1
        self.samples_per_step = recipe.batch_size
        self.steps_per_epoch = self._windows // recipe.batch_size
        if self.steps_per_epoch == 0:
            raise UsageError(
                f"--batch-size {recipe.batch_size} is more than the {max(0, self._windows)} "
                f"windows of {CONTEXT} characters in the training part of {recipe.dataset}"
            )

    def model(self, seed: int) -> nn.Module:
        return built(self._recipe, seed, (CONTEXT,), VOCABULARY).to(self._device)

    def train_batches(self, seed: int, epoch: int) -> Iterator[Tensor]:
        """Windows int64 `[b, CONTEXT + 1]`; the last partial batch is dropped."""
        for order in self.orders(seed, epoch).to(self._device):
            yield self.ordered_batch(order)

    def orders(self, seed: int, epoch: int) -> Tensor:
        """int64 `[steps_per_epoch, b]`: the start of each batch's windows. Windows of an epoch
        touch but do not overlap, so each character is predicted at most once; the start of the
        first window is redrawn for each epoch."""
        generator = torch.Generator().manual_seed(epoch_seed(seed, epoch))
        first = torch.randint(CONTEXT, (), generator=generator)
        starts = first + CONTEXT * torch.randperm(self._windows, generator=generator)
        steps, size = self.steps_per_epoch, self.samples_per_step
        return starts[: steps * size].reshape(steps, size)

    def ordered_batch(self, order: Tensor) -> Tensor:
        return _windows(self._parts["train"], order)

    def loss(self, model: nn.Module, batch: Tensor) -> Tensor:
        """The mean over all characters but the first of each window, in nats."""
        logits = model(batch[:, :-1]).flatten(0, 1)
        return torch.nn.functional.cross_entropy(logits, batch[:, 1:].flatten())

    def val_batches(self, samples: int) -> Iterator[Tensor]:
        """The first windows of the validation part, at most `samples`."""
        return self._in_order("val", self.samples_per_step, samples)

    def evaluate(self, model: nn.Module, split: Split) -> Mapping[str, float]:
        """The mean loss over a part's whole windows, in nats: over all its characters but the first
        and fewer than `CONTEXT` at the end."""
        if split not in self._parts:
            raise UsageError(f"this task was made without its {split} split")
        with evaluating(model, self._device, self._recipe.precision):
            batches = list(self._in_order(split, EVALUATION_BATCH[self._device.type]))
            sums = [self.loss(model, batch).double() * len(batch) for batch in batches]
        return {"loss": float(torch.stack(sums).sum()) / sum(map(len, batches))}

    def _in_order(self, split: str, size: int, most: int | None = None) -> Iterator[Tensor]:
        part = self._parts[split]
        starts = torch.arange(0, len(part) - CONTEXT, CONTEXT, device=self._device)[:most]
        return (_windows(part, each) for each in torch.split(starts, size))


def _windows(part: Tensor, starts: Tensor) -> Tensor:
    """Windows int64 `[b, CONTEXT + 1]` that start at int64 `[b]`."""
    return part.unfold(0, CONTEXT + 1, 1)[starts].long()


@dataclass(frozen=True)
class TextSource:
    """A text, held on the device and split as the first recipe requires."""

    data: TextData
    device: torch.device
    recipe: Recipe

    @cached_property
    def _parts(self) -> Mapping[str, Tensor]:
        parts = self.data.parts(self.recipe.val_fraction)
        return {split: torch.tensor(part, device=self.device) for split, part in parts.items()}

    def task(self, recipe: Recipe, *, with_test: bool) -> TextTask:
        return TextTask(self._parts, recipe, self.device, with_test=with_test)

    def check(self, recipe: Recipe) -> None:
        """Does nothing: the only user code is the model, which is checked when it is built."""

    def facts(self) -> Mapping[str, Any]:
        data = self.data
        sizes = {split: len(part) for split, part in self._parts.items()}
        return {"name": data.name, "digest": data.digest, "source": data.source, **sizes}
