"""CIFAR-10 and CIFAR-100 (Krizhevsky, "Learning multiple layers of features from tiny images",
2009), read by torchvision."""

import warnings
from functools import partial
from pathlib import Path

import numpy as np

from lrbench.data.image_data import DATASETS, PHOTOS, ImageData
from lrbench.data.published import damaged, obtain

FILES = {
    10: [f"cifar-10-batches-py/data_batch_{number}" for number in range(1, 6)]
    + ["cifar-10-batches-py/test_batch", "cifar-10-batches-py/batches.meta"],
    100: ["cifar-100-python/train", "cifar-100-python/test", "cifar-100-python/meta"],
}


def read(classes: int, data_dir: Path | None = None, download: bool = False) -> ImageData:
    """CIFAR-10 or CIFAR-100; torchvision unpickles only files with the published MD5."""
    label = f"CIFAR{classes}"
    folder = obtain(f"cifar{classes}", label, data_dir, download)
    from torchvision import datasets

    kind = getattr(datasets, label)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy warns about the pickle format of 2009
        try:
            train, test = (kind(str(folder), train=part) for part in (True, False))
        except RuntimeError:
            what = "the MD5 of a file is not the published one"
            raise damaged(folder / kind.base_folder, what) from None
    return ImageData(
        name=f"cifar{classes}",
        train_images=np.ascontiguousarray(train.data.transpose(0, 3, 1, 2)),
        train_labels=np.array(train.targets, dtype=np.int64),
        test_images=np.ascontiguousarray(test.data.transpose(0, 3, 1, 2)),
        test_labels=np.array(test.targets, dtype=np.int64),
        classes=tuple(train.classes),
        augmentation=PHOTOS,
    )


for _classes, _files in FILES.items():
    DATASETS.register(
        f"cifar{_classes}",
        f"60,000 photographs in {_classes} classes, 32x32 colour",
        train=50_000,
        test=10_000,
        shape=(3, 32, 32),
        classes=_classes,
        files=tuple(_files),
        integrity="MD5 of every file",
    )(partial(read, _classes))
