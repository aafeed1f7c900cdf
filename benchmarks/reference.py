"""The loop that the engine is measured against: what a careful user writes by hand.

A dataset of PIL images as torchvision has them, transforms for each sample, a DataLoader, eager
steps, a learning rate that is a plain number, `.item()` at each step. This file is frozen: a
figure is only worth something against the same loop. What runs faster goes into `tuned.py`.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from lrbench.data import Augmentation, ImageData
from lrbench.data.image_data import UNCHANGED
from lrbench.data.resident import channel_statistics

Batch = tuple[Tensor, Tensor]


class PilImages(Dataset[Any]):
    """Bytes in memory and a PIL image for each item, like torchvision's MNIST and CIFAR10."""

    def __init__(self, images: Any, labels: Any, transform: Any) -> None:
        self.images = images[:, 0] if images.shape[1] == 1 else images.transpose(0, 2, 3, 1)
        self.labels = labels.tolist()
        self.transform = transform

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.images[index])), self.labels[index]


def transform_of(data: ImageData, augmentation: Augmentation) -> Any:
    """Crop after zero padding, mirror, to a float tensor, normalise."""
    mean, std = ([v / 255 for v in values] for values in channel_statistics(data.train_images))
    steps: list[Any] = []
    if augmentation.crop_padding:
        size = data.image_shape[1:]
        steps.append(transforms.RandomCrop(size, padding=augmentation.crop_padding))
    if augmentation.flip:
        steps.append(transforms.RandomHorizontalFlip())
    return transforms.Compose([*steps, transforms.ToTensor(), transforms.Normalize(mean, std)])


def train_loader(data: ImageData, batch_size: int, workers: int, device: str) -> Iterable[Batch]:
    transform = transform_of(data, data.augmentation)
    return DataLoader(
        PilImages(data.train_images, data.train_labels, transform),
        batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=device != "cpu",
    )


def plain_loader(
    data: ImageData, images: Any, labels: Any, workers: int, device: str
) -> Iterable[Batch]:
    """For evaluation: nothing is cut, mirrored or left out."""
    return DataLoader(
        PilImages(images, labels, transform_of(data, UNCHANGED)),
        batch_size=1000,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=device != "cpu",
    )


def train_epoch(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    scheduler: torch.optim.lr_scheduler.LRScheduler,
    batches: Iterable[Batch],
    device: str = "cpu",
    precision: str = "fp32",
) -> Iterator[float]:
    """Yield the loss of each batch, before its step."""
    model.train()
    for images, labels in batches:
        images, labels = images.to(device, non_blocking=True), labels.to(device, non_blocking=True)
        with torch.autocast(device, torch.bfloat16, enabled=precision == "bf16"):
            loss = nn.functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        scheduler.step()
        yield loss.item()


def accuracy(model: nn.Module, batches: Iterable[Batch], device: str = "cpu") -> float:
    model.eval()
    right = count = 0
    with torch.no_grad():
        for images, labels in batches:
            found = model(images.to(device)).argmax(1)
            right += (found == labels.to(device)).sum().item()
            count += len(labels)
    return right / count
