"""MNIST and Fashion-MNIST, in the file layout of torchvision's classes."""

import gzip
import hashlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from lrbench.data.image_data import CLOTHES, DATASETS, DIGITS, Augmentation, ImageData
from lrbench.data.published import damaged, obtain
from lrbench.files import read_file

FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


@dataclass(frozen=True)
class Family:
    """A dataset in MNIST's format: its torchvision class, and the SHA-256 of each file, in the
    order of FILES. Without SHA-256, files are compared with torchvision's archives."""

    name: str
    summary: str
    integrity: str
    torchvision_class: str
    classes: tuple[str, ...]
    augmentation: Augmentation
    sha256: tuple[str, ...] = ()


# LeCun, Cortes and Burges, http://yann.lecun.com/exdb/mnist
MNIST = Family(
    name="mnist",
    summary="70,000 handwritten digits, 28x28 grey",
    integrity="SHA-256 of every file",
    torchvision_class="MNIST",
    classes=tuple("0123456789"),
    augmentation=DIGITS,
    sha256=(
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
)
# Xiao, Rasul and Vollgraf, "Fashion-MNIST" (2017)
FASHION = Family(
    name="fashion-mnist",
    summary="70,000 pieces of clothing, 28x28 grey",
    integrity="MD5 of the .gz files if present, counts and labels otherwise",
    torchvision_class="FashionMNIST",
    classes=(
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
        "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
    ),
    augmentation=CLOTHES,
)  # fmt: skip


def read(family: Family, data_dir: Path | None = None, download: bool = False) -> ImageData:
    """Verify the four files of a family and have torchvision read them; with `download`, fetch
    missing ones."""
    label = family.torchvision_class
    raw = obtain(family.name, label, data_dir, download) / label / "raw"
    from torchvision.datasets import mnist

    arrays: list[Any] = []
    for number, file in enumerate(FILES):
        path = raw / file
        if family.sha256:
            _verify(path, "sha256", family.sha256[number])
        else:
            _compare(path, dict(getattr(mnist, label).resources)[f"{file}.gz"])
        reader = mnist.read_image_file if "images" in file else mnist.read_label_file
        try:
            arrays.append(reader(str(path)).numpy())
        except Exception as fault:  # a damaged file may fail anywhere in the reader
            raise damaged(path, f"{type(fault).__name__} {fault}".strip()) from None
    train, labels, test, test_labels = arrays
    train, test = train[:, None], test[:, None]
    return ImageData(
        family.name, train, labels, test, test_labels, family.classes, family.augmentation
    )


def _verify(path: Path, algorithm: str, known: str) -> bytes:
    """The file's content; raises if its digest is not the known one."""
    content = read_file(path)
    # md5 guards against damage, not against an attacker
    found = hashlib.new(algorithm, content, usedforsecurity=False).hexdigest()
    if found != known:
        raise damaged(path, f"its {algorithm} is {found}, not {known}")
    return content


def _compare(path: Path, md5: str) -> None:
    """Raises if a file differs from its .gz archive; without one, nothing is checked."""
    archive = path.with_name(f"{path.name}.gz")
    if archive.is_file() and gzip.decompress(_verify(archive, "md5", md5)) != read_file(path):
        raise damaged(path, f"it is not what {archive.name} contains")


for _family in (MNIST, FASHION):
    DATASETS.register(
        _family.name,
        _family.summary,
        train=60_000,
        test=10_000,
        shape=(1, 28, 28),
        classes=10,
        files=tuple(f"{_family.torchvision_class}/raw/{file}" for file in FILES),
        integrity=_family.integrity,
    )(partial(read, _family))
