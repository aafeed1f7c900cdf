"""The reference loop as fast as we could make it in plain torch: still a Dataset, still one crop
and one mirror image for each sample, still a DataLoader.

Images are padded and normalised once, before training; an item is a slice; the items of a batch
are written into one tensor, without a list of samples to collate. Weights lie channels last, and
the optimizer is fused.
"""

import random
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from lrbench.data import ImageData
from lrbench.data.resident import channel_statistics

Batch = tuple[Tensor, Tensor]


class Slices(Dataset[Batch]):
    """Float images `[n, c, h + 2p, w + 2p]`, padded before they are normalised."""

    def __init__(self, data: ImageData) -> None:
        rule = data.augmentation
        mean, std = (torch.tensor(v)[:, None, None] for v in channel_statistics(data.train_images))
        padded = torch.nn.functional.pad(
            torch.from_numpy(data.train_images), [rule.crop_padding] * 4
        )
        self.images = (padded - mean) / std
        self.labels = torch.from_numpy(data.train_labels)
        self.shape = data.image_shape
        self.reach = 2 * rule.crop_padding
        self.flip = rule.flip

    def __len__(self) -> int:
        return len(self.labels)

    def __getitems__(self, indices: list[int]) -> Batch:
        _, height, width = self.shape
        batch = torch.empty(len(indices), *self.shape)
        for place, image in zip(batch, self.images[indices], strict=True):
            top, left = random.randint(0, self.reach), random.randint(0, self.reach)
            cut = image[:, top : top + height, left : left + width]
            place.copy_(cut.flip(2) if self.flip and random.random() < 0.5 else cut)
        return batch, self.labels[indices]


def train_loader(data: ImageData, batch_size: int, workers: int, device: str) -> Iterable[Batch]:
    return DataLoader(
        Slices(data),
        batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=device != "cpu",
        collate_fn=_as_it_is,
    )


def prepared(model: nn.Module) -> nn.Module:
    return model.to(memory_format=torch.channels_last)


def _as_it_is(batch: Any) -> Any:
    return batch
