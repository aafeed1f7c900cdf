"""Small datasets in the files of the real ones."""

import hashlib
import pickle
import struct
from pathlib import Path

import numpy as np
from PIL import Image

from lrbench.data.image_data import DIGITS, Augmentation, ImageData


def image_data(
    count: int = 40,
    shape: tuple[int, int, int] = (1, 28, 28),
    classes: int = 4,
    augmentation: Augmentation = DIGITS,
) -> ImageData:
    random = np.random.default_rng(0)
    labels = np.arange(count) % classes
    return ImageData(
        name="made",
        train_images=random.integers(0, 256, (count, *shape), dtype=np.uint8),
        train_labels=labels,
        test_images=random.integers(0, 256, (count, *shape), dtype=np.uint8),
        test_labels=labels,
        classes=tuple(f"class {label}" for label in range(classes)),
        augmentation=augmentation,
    )


def idx(array: np.ndarray) -> bytes:
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    return header + array.astype(np.uint8).tobytes()


def image_folder(root: Path, *, per_class: int = 3, mode: str = "RGB", size: int = 32) -> Path:
    """train/ and test/ with the classes cat and dog, PNG files of noise."""
    random = np.random.default_rng(1)
    shape = (size, size, 3) if mode == "RGB" else (size, size)
    for folder in (root / split / name for split in ("train", "test") for name in ("cat", "dog")):
        folder.mkdir(parents=True)
        for number in range(per_class):
            pixels = random.integers(0, 256, shape, dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{number}.png")
    return root


def cifar10_folder(root: Path, per_batch: int) -> dict[str, str]:
    """CIFAR-10's pickles with random pixels; their MD5 by file."""
    random = np.random.default_rng(2)
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    names = [f"data_batch_{number}" for number in range(1, 6)] + ["test_batch"]
    for name in names:
        count = per_batch * (5 if name == "test_batch" else 1)
        pixels = random.integers(0, 256, (count, 3072), dtype=np.uint8)
        content = {"data": pixels, "labels": [place % 10 for place in range(count)]}
        (folder / name).write_bytes(pickle.dumps(content))
    (folder / "batches.meta").write_bytes(
        pickle.dumps({"label_names": [f"thing {number}" for number in range(10)]})
    )
    paths = sorted(folder.iterdir())
    return {path.name: hashlib.md5(path.read_bytes()).hexdigest() for path in paths}
