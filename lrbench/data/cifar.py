"""CIFAR-10 and CIFAR-100 (Krizhevsky, "Learning multiple layers of features from tiny images",
2009), read by torchvision."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from lrbench.data.image_data import DATASETS, PHOTOS, ImageData
from lrbench.data.published import damaged, data_folder, obtain, verify

# MD5 of every file, as Krizhevsky published them: nothing is unpickled unverified.
CIFAR10_MD5: dict[str, str] = {
    "cifar-10-batches-py/data_batch_1": "c99cafc152244af753f735de768cd75f",
    "cifar-10-batches-py/data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "cifar-10-batches-py/data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "cifar-10-batches-py/data_batch_4": "634d18415352ddfa80567beed471001a",
    "cifar-10-batches-py/data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "cifar-10-batches-py/test_batch": "40351d587109b95175f43aff81a1287e",
    "cifar-10-batches-py/batches.meta": "5ff9c542aee3614f3951f8cda6e48888",
}
CIFAR100_MD5: dict[str, str] = {
    "cifar-100-python/train": "16019d7e3df5f24257cddd939b257f8d",
    "cifar-100-python/test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
    "cifar-100-python/meta": "7973b15100ade9c7d40fb424638fde48",
}


def read(
    name: str,
    torchvision_class: str,
    md5: Mapping[str, str],
    data_dir: Path | None = None,
    download: bool = False,
) -> ImageData:
    """Verify every file, then let torchvision read them; with `download`, fetch missing ones."""
    folder = data_folder(data_dir)
    paths = {folder / file: known for file, known in md5.items()}
    obtain(name, torchvision_class, folder, paths, download=download)
    for path, known in paths.items():
        verify(path, "md5", known)
    train, test = (opened(torchvision_class, folder, train=part) for part in (True, False))
    return ImageData(
        name=name,
        train_images=np.ascontiguousarray(train.data.transpose(0, 3, 1, 2)),
        train_labels=np.array(train.targets, dtype=np.int64),
        test_images=np.ascontiguousarray(test.data.transpose(0, 3, 1, 2)),
        test_labels=np.array(test.targets, dtype=np.int64),
        classes=tuple(train.classes),
        augmentation=PHOTOS,
    )


def opened(torchvision_class: str, folder: Path, *, train: bool) -> Any:
    """torchvision's dataset of verified files."""
    from torchvision import datasets

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy warns about the pickle format of 2009
        try:
            return getattr(datasets, torchvision_class)(str(folder), train=train)
        except RuntimeError as fault:
            raise damaged(folder, str(fault)) from None


for _classes, _md5 in ((10, CIFAR10_MD5), (100, CIFAR100_MD5)):
    DATASETS.register(
        f"cifar{_classes}",
        f"60,000 photographs of {_classes} things, 32x32 colour",
        train=50_000,
        test=10_000,
        shape=(3, 32, 32),
        classes=_classes,
        origin="download",
        files=tuple(_md5),
        integrity="MD5 of every file",
    )(partial(read, f"cifar{_classes}", f"CIFAR{_classes}", _md5))
