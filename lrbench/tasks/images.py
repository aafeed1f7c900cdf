"""Image classification on a dataset that is resident on the device."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from lrbench.data.augment import draw
from lrbench.data.resident import Resident, Residents
from lrbench.errors import UsageError
from lrbench.tasks.base import Split

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from lrbench.data import ImageData
    from lrbench.experiment import Recipe

Batch = tuple["Tensor", "Tensor"]
EVALUATION_BATCH = 1000


class ImageTask:
    """Train a network of the recipe on a dataset's images, with cross-entropy.

    Without `with_test` the task holds no test image: whoever tunes on it cannot read the test
    set. `resident` lends tensors that are on the device already; they must be of the same data,
    validation fraction and augmentation.

    Raises:
        UsageError: a batch larger than the training split, or a network that nobody knows.
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
        from lrbench.models import MODELS

        MODELS.get(recipe.model, option="--model")
        splits = resident or residents(data, recipe, device)
        self._train = splits.train
        self._splits = {"val": splits.val, **({"test": splits.test} if with_test else {})}
        self._classes = splits.classes
        self._recipe = recipe
        self._device = device
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

        with torch.random.fork_rng(devices=[]):
            # torch.manual_seed would reach the generators of CUDA devices as well
            torch.default_generator.manual_seed(seed)
            model = build(self._recipe.model, self._train.image_shape, self._classes)
        # batches are cut with channels last: convolutions that agree need not reorder them
        return model.to(self._device).to(memory_format=torch.channels_last)

    def train_batches(self, seed: int, epoch: int) -> Iterator[Batch]:
        """Images float32 `[b, c, h, w]`, normalised, and labels int64 `[b]`; the last partial
        batch is dropped."""
        size = self.samples_per_step
        whole = draw(len(self._train), self._train.augmentation, seed, epoch).to(self._device)
        for step in range(self.steps_per_epoch):
            yield self._train.batch(whole[step * size : (step + 1) * size])

    def loss(self, model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        """Mean cross-entropy, and the number of right answers."""
        import torch

        images, labels = batch
        logits = model(images)
        right = (logits.detach().argmax(1) == labels).sum()
        return torch.nn.functional.cross_entropy(logits, labels), right

    def evaluate(self, model: nn.Module, split: Split) -> Mapping[str, float]:
        """Mean cross-entropy and accuracy over every image of a split, unaugmented.

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
                sums = [_sums(model, batch) for batch in _batches(images)]
        finally:
            model.train(training)
        losses, rights = zip(*torch.stack(sums).tolist(), strict=True)
        return {"loss": sum(losses) / len(images), "accuracy": sum(rights) / len(images)}


def residents(data: ImageData, recipe: Recipe, device: torch.device) -> Residents:
    """The data as the recipe wants it on the device: make it once, lend it to several tasks."""
    return Residents.of(
        data,
        device,
        val_fraction=recipe.val_fraction,
        augment=recipe.augment == "default",
    )


def _batches(images: Resident) -> Iterator[Batch]:
    for start in range(0, len(images), EVALUATION_BATCH):
        yield images.plain(start, start + EVALUATION_BATCH)


def _sums(model: nn.Module, batch: Batch) -> Tensor:
    """float32 `[2]`: summed cross-entropy, and the number of right answers."""
    import torch

    images, labels = batch
    logits = model(images).float()
    loss = torch.nn.functional.cross_entropy(logits, labels, reduction="sum")
    return torch.stack([loss, (logits.argmax(1) == labels).sum().float()])
