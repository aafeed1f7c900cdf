"""Image classification on a dataset held on the device."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from lrbench import models, plugins
from lrbench.data import ImageData
from lrbench.data.resident import Residents, draw, epoch_seed
from lrbench.errors import UsageError
from lrbench.options import Recipe
from lrbench.tasks.base import Split, built, evaluating

Batch = tuple[Tensor, Tensor]
Loss = Callable[[Tensor, Tensor], Tensor]
# The activations of larger batches overflow a CPU's caches, which doubles the time per image.
EVALUATION_BATCH = {"cpu": 128, "cuda": 1000}


class ImageTask:
    """The recipe's network on a dataset's images, with cross-entropy or the recipe's loss.

    Without `with_test` the task has no test images, so tuning cannot read them. `resident` holds
    tensors already on the device, with the same data, validation fraction and augmentation.
    """

    def __init__(
        self,
        data: ImageData,
        recipe: Recipe,
        device: torch.device,
        *,
        with_test: bool,
        resident: Residents | None = None,
    ) -> None:
        models.check(recipe.model, recipe.weights)
        splits = resident or residents(data, recipe, device)
        self._train = splits.train
        self._splits = {"val": splits.val, **({"test": splits.test} if with_test else {})}
        self._classes = splits.classes
        if recipe.tta == "flip" and not data.augmentation.flip:
            raise UsageError(
                f"--tta flip: images of {data.name} are not mirrored in training, because mirror "
                "images would mean something else"
            )
        self._recipe = recipe
        self._device = device
        smoothed = partial(cross_entropy, label_smoothing=recipe.label_smoothing or 0.0)
        self._loss = own_loss(recipe.loss, self._classes, device) if recipe.loss else smoothed
        self._change = own_change(recipe.augment) if plugins.is_own(recipe.augment) else None
        self.samples_per_step = recipe.batch_size
        self.steps_per_epoch = len(self._train) // recipe.batch_size
        if self.steps_per_epoch == 0:
            raise UsageError(
                f"--batch-size {recipe.batch_size} is more than the {len(self._train)} "
                f"training images of {data.name}"
            )

    def model(self, seed: int) -> nn.Module:
        model = built(self._recipe, seed, self._train.image_shape, self._classes)
        # batches are channels-last too, so that convolutions need not reorder them
        return model.to(self._device).to(memory_format=torch.channels_last)

    def train_batches(self, seed: int, epoch: int) -> Iterator[Batch]:
        """Images float32 `[b, c, h, w]`, normalised, and labels int64 `[b]`; the last partial
        batch is dropped."""
        change = None
        if self._change is not None:  # the user's, with the epoch's generator
            generator = torch.Generator(self._device).manual_seed(epoch_seed(seed, epoch))
            change = partial(self._change, generator=generator)
        for order in self.orders(seed, epoch).to(self._device):
            yield self._train.batch(order, change)

    def orders(self, seed: int, epoch: int) -> Tensor:
        """int64 `[steps_per_epoch, 4, b]`: index, top, left and flip of each batch's images."""
        size, steps = self.samples_per_step, self.steps_per_epoch
        whole = draw(len(self._train), self._train.augmentation, seed, epoch)[:, : size * steps]
        return whole.reshape(4, steps, size).transpose(0, 1)

    def ordered_batch(self, order: Tensor) -> Batch:
        """The batch of one row of `orders`, equal to that of `train_batches`."""
        return self._train.batch(order)

    def loss(self, model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        """The mean loss, and the number of correct answers."""
        images, labels = batch
        logits = model(images)
        right = (logits.detach().argmax(1) == labels).sum()
        return self._loss(logits, labels), right

    def val_batches(self, samples: int) -> Iterator[Batch]:
        """The first whole batches of the validation split, unaugmented, with at most `samples`
        images but at least one batch."""
        size, val = self.samples_per_step, self._splits["val"]
        whole = min(samples, len(val)) // size
        for start in range(0, max(1, whole) * size, size):
            yield val.plain(start, start + size)

    def evaluate(self, model: nn.Module, split: Split) -> Mapping[str, float]:
        """Mean loss, accuracy and balanced accuracy (the mean over the classes) over all images of
        a split, unaugmented."""
        if split not in self._splits:
            raise UsageError(f"this task was made without its {split} split")
        images = self._splits[split]
        size = EVALUATION_BATCH[images.labels.device.type]
        shares = _class_shares(images.labels, self._classes)
        with evaluating(model, self._device, self._recipe.precision):
            sums = [
                self._sums(model, images.plain(start, start + size), shares)
                for start in range(0, len(images), size)
            ]
        losses, rights, balanced = zip(*torch.stack(sums).tolist(), strict=True)
        return {
            "loss": sum(losses) / len(images),
            "accuracy": sum(rights) / len(images),
            "balanced_accuracy": sum(balanced),
        }

    def _sums(self, model: nn.Module, batch: Batch, shares: Tensor) -> Tensor:
        """float64 `[3]`: summed loss, number of correct answers, and their share of the balanced
        accuracy."""
        images, labels = batch
        logits = model(images).float()
        if self._recipe.tta == "flip":
            logits = (logits + model(images.flip(-1)).float()) / 2
        if self._recipe.loss:
            loss = self._loss(logits, labels) * len(labels)
        else:
            loss = cross_entropy(logits, labels, reduction="sum")
        right = logits.argmax(1) == labels
        return torch.stack([loss.double(), right.sum().double(), (shares[labels] * right).sum()])


def _class_shares(labels: Tensor, classes: int) -> Tensor:
    """float64 `[classes]`: what a correct answer adds to the balanced accuracy, 1 / (number of
    classes that occur x images of that class)."""
    counts = labels.bincount(minlength=classes).double()
    return 1 / (counts.clamp(min=1) * (counts > 0).sum())


def own_loss(name: str, classes: int, device: torch.device) -> Loss:
    """The user's `(logits [b, classes], labels [b]) -> mean loss`, tried on two samples: a function
    or an instance of a class such as `torch.nn:CrossEntropyLoss`. Modules are copied to the
    device."""
    function: Any = plugins.load_callable(name, "--loss")
    if inspect.isclass(function):
        function = plugins.call(name, function, {}, option="--loss")
    logits = torch.zeros(2, classes, requires_grad=True)
    with plugins.blamed(name, "--loss"):
        value = function(logits, torch.arange(2) % classes)
    if not isinstance(value, torch.Tensor) or value.numel() != 1 or not value.requires_grad:
        raise UsageError(
            f"--loss {name}: called with logits [2, {classes}] and labels [2] it returns "
            f"{plugins.kind_of(value)}, not the mean loss, one number with a gradient"
        )
    if isinstance(function, torch.nn.Module):
        function = deepcopy(function).to(device)
    return lambda logits, labels: function(logits, labels).reshape(())


def own_change(name: str) -> Callable[..., Tensor]:
    """The user's `(images, generator) -> images`, or `(images) -> images`."""
    function = plugins.load_callable(name, "--augment")
    wants = _wants_generator(name, function)

    def change(images: Tensor, generator: torch.Generator) -> Tensor:
        with plugins.blamed(name, "--augment"):
            found: Any = function(images, generator) if wants else function(images)
        if not isinstance(found, torch.Tensor) or found.shape != images.shape:
            raise UsageError(
                f"--augment {name}: for images {list(images.shape)} it returns "
                f"{plugins.kind_of(found)}, not images of the same shape"
            )
        return found

    return change


def _wants_generator(name: str, function: Callable[..., Any]) -> bool:
    try:
        inspect.signature(function).bind("images", "generator")
        return True
    except (TypeError, ValueError):  # another number of arguments, or written in C
        plugins.check_call(name, function, ("images",), option="--augment")
        return False


@dataclass(frozen=True)
class ImageSource:
    """A dataset of images, held on the device once for each kind of augmentation."""

    data: ImageData
    device: torch.device
    recipe: Recipe
    _residents: dict[bool, Residents] = field(default_factory=dict, init=False, compare=False)

    def _resident(self, recipe: Recipe) -> Residents:
        default = recipe.augment == "default"
        if default not in self._residents:
            self._residents[default] = residents(self.data, recipe, self.device)
        return self._residents[default]

    def task(self, recipe: Recipe, *, with_test: bool) -> ImageTask:
        shared = self._resident(recipe)
        return ImageTask(self.data, recipe, self.device, with_test=with_test, resident=shared)

    def check(self, recipe: Recipe) -> None:
        if plugins.is_own(recipe.augment):
            next(self.task(recipe, with_test=False).train_batches(0, 0))

    def facts(self) -> Mapping[str, Any]:
        data = self.data
        return {
            "name": data.name,
            "digest": data.digest,
            "classes": len(data.classes),
            "train": len(data.train_labels),
            "val": len(self._resident(self.recipe).val),
            "test": len(data.test_labels),
        }


def residents(data: ImageData, recipe: Recipe, device: torch.device) -> Residents:
    """The recipe's data on the device, which tasks can share."""
    augment = recipe.augment == "default"
    return Residents.of(data, device, val_fraction=recipe.val_fraction, augment=augment)
