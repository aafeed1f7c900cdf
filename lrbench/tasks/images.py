"""Image classification on a dataset that is resident on the device."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from lrbench.data.augment import Draw, draw, epoch_seed
from lrbench.data.resident import Resident, Residents
from lrbench.errors import UsageError
from lrbench.plugins import is_own
from lrbench.tasks.base import Split
from lrbench.tasks.own_parts import own_change, own_loss

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from lrbench.data import ImageData
    from lrbench.experiment import Recipe

Batch = tuple["Tensor", "Tensor"]
# On a CPU the activations of a larger batch leave its caches: twice the time for an image.
EVALUATION_BATCH = {"cpu": 128, "cuda": 1000}


class ImageTask:
    """Train a network of the recipe on a dataset's images, with cross-entropy or the recipe's loss.

    Without `with_test` the task holds no test image: whoever tunes on it cannot read the test
    set. `resident` lends tensors that are on the device already; they must be of the same data,
    validation fraction and augmentation.

    Raises:
        UsageError: a batch larger than the training split, a network that nobody knows, or a loss
            or an augmentation of the user's that is none.
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
        from lrbench.models import check

        check(recipe.model, recipe.weights)
        splits = resident or residents(data, recipe, device)
        self._train = splits.train
        self._splits = {"val": splits.val, **({"test": splits.test} if with_test else {})}
        self._classes = splits.classes
        if recipe.tta == "flip" and not data.augmentation.flip:
            raise UsageError(
                f"--tta flip: images of {data.name} are not mirrored in training: their mirror "
                "images are something else"
            )
        self._recipe = recipe
        self._device = device
        self._own_loss = own_loss(recipe.loss, self._classes, device) if recipe.loss else None
        self._change = own_change(recipe.augment) if is_own(recipe.augment) else None
        self.samples_per_step = recipe.batch_size
        self.steps_per_epoch = len(self._train) // recipe.batch_size
        if self.steps_per_epoch == 0:
            raise UsageError(
                f"--batch-size {recipe.batch_size} is more than the {len(self._train)} "
                f"training images of {data.name}"
            )

    def model(self, seed: int) -> nn.Module:
        """A new network on the device; its weights are those after `torch.manual_seed(seed)`,
        drawn on the CPU, and the process's own generators stay as they were."""
        import torch

        from lrbench.models import build
        from lrbench.models.weights import fill

        with torch.random.fork_rng(devices=[]):
            # torch.manual_seed would reach the generators of CUDA devices as well
            torch.default_generator.manual_seed(seed)
            model = build(
                self._recipe.model, self._train.image_shape, self._classes, self._recipe.weights
            )
        if self._recipe.init_from:
            fill(model, self._recipe.model, self._recipe.init_from, "--init-from")
        # batches are cut with channels last: convolutions that agree need not reorder them
        return model.to(self._device).to(memory_format=torch.channels_last)

    def train_batches(self, seed: int, epoch: int) -> Iterator[Batch]:
        """Images float32 `[b, c, h, w]`, normalised, and labels int64 `[b]`; the last partial
        batch is dropped."""
        size = self.samples_per_step
        whole = draw(len(self._train), self._train.augmentation, seed, epoch).to(self._device)
        change = self._changed(seed, epoch)
        for step in range(self.steps_per_epoch):
            chosen = whole[step * size : (step + 1) * size]
            if change is None:
                yield self._train.batch(chosen)
            else:
                yield self._train.changed_batch(chosen, change)

    def orders(self, seed: int, epoch: int) -> Tensor:
        """int64 `[steps_per_epoch, 4, b]`: index, top, left and mirror of each batch's images."""
        import torch

        size, steps = self.samples_per_step, self.steps_per_epoch
        whole = draw(len(self._train), self._train.augmentation, seed, epoch)[: size * steps]
        parts = (whole.index, whole.top, whole.left, whole.mirror)
        return torch.stack([part.long().reshape(steps, size) for part in parts], dim=1)

    def ordered_batch(self, order: Tensor) -> Batch:
        """The batch of one of the `orders`, as `train_batches` would give it."""
        index, top, left, mirror = order
        return self._train.batch(Draw(index, top, left, mirror.bool()))

    def _changed(self, seed: int, epoch: int) -> Callable[[Tensor], Tensor] | None:
        """The user's augmentation with the epoch's generator; None without one."""
        import torch

        if self._change is None:
            return None
        generator = torch.Generator(self._device).manual_seed(epoch_seed(seed, epoch))
        change = self._change
        return lambda images: change(images, generator)

    def loss(self, model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        """The mean loss, and the number of right answers."""
        import torch

        images, labels = batch
        logits = model(images)
        right = (logits.detach().argmax(1) == labels).sum()
        if self._own_loss is not None:
            return self._own_loss(logits, labels), right
        smoothing = self._recipe.label_smoothing or 0.0
        return torch.nn.functional.cross_entropy(logits, labels, label_smoothing=smoothing), right

    def val_batches(self, samples: int) -> Iterator[Batch]:
        """The first whole batches of the validation split, of at most so many images, unaugmented;
        always the same, and at least one, however small the split."""
        size, val = self.samples_per_step, self._splits["val"]
        whole = min(samples, len(val)) // size
        for start in range(0, max(1, whole) * size, size):
            yield val.plain(start, start + size)

    def evaluate(self, model: nn.Module, split: Split) -> Mapping[str, float]:
        """Mean loss, accuracy and balanced accuracy (the mean of the accuracies of its classes)
        over every image of a split, unaugmented.

        Raises:
            UsageError: the test split, of a task that was made without it.
        """
        import torch

        from lrbench.engine.precision import autocast

        if split not in self._splits:
            raise UsageError(f"this task was made without its {split} split")
        images = self._splits[split]
        training = model.training
        model.eval()
        try:
            with torch.no_grad(), autocast(self._device, self._recipe.precision):
                shares = _class_shares(images.labels, self._classes)
                sums = [self._sums(model, batch, shares) for batch in _batches(images)]
        finally:
            model.train(training)
        losses, rights, balanced = zip(*torch.stack(sums).tolist(), strict=True)
        return {
            "loss": sum(losses) / len(images),
            "accuracy": sum(rights) / len(images),
            "balanced_accuracy": sum(balanced),
        }

    def _sums(self, model: nn.Module, batch: Batch, shares: Tensor) -> Tensor:
        """float64 `[3]`: summed loss, the number of right answers, and the sum of the shares that
        right answers have in the balanced accuracy."""
        import torch

        images, labels = batch
        logits = model(images).float()
        if self._recipe.tta == "flip":
            logits = (logits + model(images.flip(-1)).float()) / 2
        if self._own_loss is not None:
            loss = self._own_loss(logits, labels) * len(labels)
        else:
            loss = torch.nn.functional.cross_entropy(logits, labels, reduction="sum")
        right = logits.argmax(1) == labels
        return torch.stack([loss.double(), right.sum().double(), (shares[labels] * right).sum()])


def _class_shares(labels: Tensor, classes: int) -> Tensor:
    """float64 `[classes]`: what one right answer of each class adds to the balanced accuracy,
    which is 1 where all are right: 1 / (classes that occur x images of that class)."""
    counts = labels.bincount(minlength=classes).double()
    return 1 / (counts.clamp(min=1) * (counts > 0).sum())


def residents(data: ImageData, recipe: Recipe, device: torch.device) -> Residents:
    """The data as the recipe wants it on the device: make it once, lend it to several tasks."""
    return Residents.of(
        data,
        device,
        val_fraction=recipe.val_fraction,
        augment=recipe.augment == "default",
    )


def _batches(images: Resident) -> Iterator[Batch]:
    size = EVALUATION_BATCH[images.labels.device.type]
    for start in range(0, len(images), size):
        yield images.plain(start, start + size)
