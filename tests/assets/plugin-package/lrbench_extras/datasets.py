"""A dataset: four stripes."""

from pathlib import Path

from lrbench.data import DATASETS, Augmentation, ImageData


@DATASETS.register(
    "stripes",
    "generated stripes in four directions",
    train=400,
    test=100,
    shape=(1, 28, 28),
    classes=4,
    origin="generated",
    integrity="generated from a fixed seed",
)
def stripes(data_dir: Path | None = None, download: bool = False) -> ImageData:
    import numpy as np

    random = np.random.RandomState(0)
    rows, columns = np.mgrid[:28, :28]
    waves = np.stack([rows, columns, rows + columns, rows - columns]) // 4 % 2 * 200

    def split(count):
        labels = np.arange(count) % 4
        return (waves[labels] + random.randint(0, 56, (count, 28, 28)))[:, None], labels

    (train, labels), (test, test_labels) = split(400), split(100)
    return ImageData(
        name="stripes",
        train_images=train.astype(np.uint8),
        train_labels=labels.astype(np.int64),
        test_images=test.astype(np.uint8),
        test_labels=test_labels.astype(np.int64),
        classes=("rows", "columns", "rising", "falling"),
        augmentation=Augmentation(crop_padding=0, flip=False),
    )
