"""Generated images that can be learnt: for trying things out, not for conclusions."""

from pathlib import Path

import numpy as np

from lrbench.data.image_data import DATASETS, DIGITS, ImageData, Images, Labels

CLASSES, TRAIN, TEST = 10, 2000, 500


@DATASETS.register(
    "synthetic",
    "generated 28x28 grey patterns, for trying things out",
    train=TRAIN,
    test=TEST,
    shape=(1, 28, 28),
    classes=CLASSES,
    origin="generated",
    integrity="generated from a fixed seed",
)
def synthetic(data_dir: Path | None = None, download: bool = False) -> ImageData:
    """Each class is a coarse random pattern; an image is its class's pattern, shifted by up to 3
    pixels and averaged with noise. Made of integers from a frozen generator: the same bytes
    everywhere."""
    # RandomState's stream is frozen by numpy's policy (NEP 19); the newer generators' are not.
    random = np.random.RandomState(20_260_101)
    coarse = random.randint(0, 256, (CLASSES, 7, 7), dtype=np.int64)
    patterns = coarse.repeat(4, axis=1).repeat(4, axis=2)

    def draw(count: int) -> tuple[Images, Labels]:
        labels = np.arange(count) % CLASSES
        shifts = random.randint(-3, 4, (count, 2))
        pairs = zip(labels, shifts, strict=True)
        clean = np.stack([np.roll(patterns[label], shift, axis=(0, 1)) for label, shift in pairs])
        noisy = (clean + random.randint(0, 256, clean.shape)) // 2
        return noisy[:, None].astype(np.uint8), labels.astype(np.int64)

    classes = tuple(f"pattern {label}" for label in range(CLASSES))
    return ImageData("synthetic", *draw(TRAIN), *draw(TEST), classes, DIGITS)
