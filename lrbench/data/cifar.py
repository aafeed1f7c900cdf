"""CIFAR-10 and CIFAR-100 (Krizhevsky, "Learning multiple layers of features from tiny images",
2009), read by torchvision."""

import warnings
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from lrbench.data.image_data import DATASETS, PHOTOS, ImageData
from lrbench.data.published import damaged, data_folder, obtain, verify

FILES = {
    10: [f"cifar-10-batches-py/data_batch_{number}" for number in range(1, 6)]
    + ["cifar-10-batches-py/test_batch", "cifar-10-batches-py/batches.meta"],
    100: ["cifar-100-python/train", "cifar-100-python/test", "cifar-100-python/meta"],
}


def read(classes: int, data_dir: Path | None = None, download: bool = False) -> ImageData:
    """Compare every file with the MD5 that Krizhevsky published, since nothing is to be unpickled
    unverified; then let torchvision read them. With `download`, fetch missing ones."""
    name, label, folder = f"cifar{classes}", f"CIFAR{classes}", data_folder(data_dir)
    paths = [folder / file for file in FILES[classes]]
    obtain(name, label, folder, paths, download=download)
    from torchvision import datasets

    kind = getattr(datasets, label)
    md5 = {**dict([*kind.train_list, *kind.test_list]), kind.meta["filename"]: kind.meta["md5"]}
    for path in paths:
        verify(path, "md5", md5[path.name])
    train, test = (opened(kind, folder, train=part) for part in (True, False))
    return ImageData(
        name=name,
        train_images=np.ascontiguousarray(train.data.transpose(0, 3, 1, 2)),
        train_labels=np.array(train.targets, dtype=np.int64),
        test_images=np.ascontiguousarray(test.data.transpose(0, 3, 1, 2)),
        test_labels=np.array(test.targets, dtype=np.int64),
        classes=tuple(train.classes),
        augmentation=PHOTOS,
    )


def opened(kind: Any, folder: Path, *, train: bool) -> Any:
    """torchvision's dataset of verified files."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy warns about the pickle format of 2009
        try:
            return kind(str(folder), train=train)
        except RuntimeError as fault:
            raise damaged(folder, str(fault)) from None


for _classes, _files in FILES.items():
    DATASETS.register(
        f"cifar{_classes}",
        f"60,000 photographs of {_classes} things, 32x32 colour",
        train=50_000,
        test=10_000,
        shape=(3, 32, 32),
        classes=_classes,
        origin="download",
        files=tuple(_files),
        integrity="MD5 of every file",
    )(partial(read, _classes))
