"""An image classification dataset in memory: arrays of bytes, checked, with a digest."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lrbench.errors import MachineError
from lrbench.registry import Registry

Images = NDArray[np.uint8] | NDArray[np.float32]
Labels = NDArray[np.int64]

# (data directory, or None for the default; whether to download what is missing) -> the data
Make = Callable[[Path | None, bool], "ImageData"]
DATASETS: Registry[Make] = Registry(
    "dataset",
    "lrbench.data",
    skip=("resident",),
    besides=("folder:PATH", "text:FILE", "text:default"),
)


@dataclass(frozen=True)
class Augmentation:
    """Random crop after zero padding by `crop_padding` pixels per side, and a horizontal flip with
    probability 1/2, drawn for each image."""

    crop_padding: int
    flip: bool


DIGITS = Augmentation(crop_padding=2, flip=False)  # mirrored digits mean something else
CLOTHES = Augmentation(crop_padding=2, flip=True)
# He et al., "Deep residual learning for image recognition" (2015), section 4.2.
PHOTOS = Augmentation(crop_padding=4, flip=True)
UNCHANGED = Augmentation(crop_padding=0, flip=False)


@dataclass(frozen=True, eq=False)
class ImageData:
    """An image classification dataset.

    Images are uint8 `[n, c, h, w]`, or the user's own float32 of any range; labels are int64
    `[n]` and index `classes`.
    """

    name: str
    train_images: Images
    train_labels: Labels
    test_images: Images
    test_labels: Labels
    classes: tuple[str, ...]
    augmentation: Augmentation

    def __post_init__(self) -> None:
        train, test, classes = self.train_images, self.test_images, len(self.classes)
        fault = _fault("training set", train, self.train_labels, classes)
        fault = fault or _fault("test set", test, self.test_labels, classes)
        kinds = [f"{images.dtype} {images.shape[1:]}" for images in (train, test)]
        if not fault and kinds[0] != kinds[1]:
            fault = f"training images are {kinds[0]}, test images {kinds[1]}"
        if fault:
            raise MachineError(f"dataset {self.name} is damaged: {fault}")

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(channels, height, width)"""
        channels, height, width = self.train_images.shape[1:]
        return channels, height, width

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the class names and of every array with its shape, in hexadecimal."""
        whole = hashlib.sha256(repr(self.classes).encode())
        for array in (self.train_images, self.train_labels, self.test_images, self.test_labels):
            whole.update(repr(array.shape).encode())
            whole.update(np.ascontiguousarray(array).data)
        return whole.hexdigest()


def usual_augmentation(images: Images) -> Augmentation:
    """PHOTOS for colour images, otherwise DIGITS."""
    return PHOTOS if images.shape[1:2] == (3,) else DIGITS


def _fault(split: str, images: Images, labels: Labels, classes: int) -> str:
    """What is wrong with a split; empty if nothing is."""
    kind, label_kind = images.dtype.name, labels.dtype.name
    if kind not in ("uint8", "float32") or images.ndim != 4:
        return f"{split}: images are {kind} of shape {images.shape}, not uint8 [n, c, h, w]"
    if label_kind != "int64" or labels.ndim != 1:
        return f"{split}: labels are {label_kind} of shape {labels.shape}, not int64 [n]"
    if len(images) == 0:
        return f"{split}: it is empty"
    if len(images) != len(labels):
        return f"{split}: {len(images)} images, but {len(labels)} labels"
    if labels.min() < 0 or labels.max() >= classes:
        return f"{split}: labels from {labels.min()} to {labels.max()}, but {classes} classes"
    return ""
