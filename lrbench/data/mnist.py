"""MNIST and Fashion-MNIST, in the files and folders of torchvision's classes."""

import gzip
import hashlib
import math
import struct
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrbench.data.image_data import CLOTHES, DATASETS, DIGITS, Augmentation, ImageData
from lrbench.data.published import damaged, obtain
from lrbench.files import read_file

SHAPES = {
    "train-images-idx3-ubyte": (60_000, 28, 28),
    "train-labels-idx1-ubyte": (60_000,),
    "t10k-images-idx3-ubyte": (10_000, 28, 28),
    "t10k-labels-idx1-ubyte": (10_000,),
}
UNSIGNED_BYTE = 8  # the type code of idx, the format of MNIST


@dataclass(frozen=True)
class Family:
    """A dataset in MNIST's format: torchvision's class of it, and the SHA-256 of each file, in the
    order of SHAPES. Where that is unknown, files are compared with torchvision's archives."""

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
    integrity="MD5 of the .gz files where they are, counts and labels otherwise",
    torchvision_class="FashionMNIST",
    classes=(
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
        "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
    ),
    augmentation=CLOTHES,
)  # fmt: skip


def read(family: Family, data_dir: Path | None = None, download: bool = False) -> ImageData:
    """Read and verify the four files of a family; fetch missing ones if `download` is set."""
    label = family.torchvision_class
    raw = obtain(family.name, label, data_dir, download) / label / "raw"
    md5 = _archives(label) if not family.sha256 else {}
    arrays: list[Any] = []
    for number, (file, shape) in enumerate(SHAPES.items()):
        content = read_file(raw / file)
        array = parse_idx(raw / file, content, shape)
        if family.sha256:
            _verify(raw / file, content, "sha256", family.sha256[number])
        else:
            _compare(raw / file, content, md5[f"{file}.gz"])
            _check_labels(raw / file, array)
        arrays.append(array[:, None] if array.ndim == 3 else array.astype(np.int64))
    train, train_labels, test, test_labels = arrays
    return ImageData(
        family.name, train, train_labels, test, test_labels, family.classes, family.augmentation
    )


def parse_idx(path: Path, content: bytes, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """The bytes of an idx file: two zero bytes, the type, the number of dimensions, their sizes as
    big-endian 32-bit numbers, then the data (http://yann.lecun.com/exdb/mnist)."""
    header = struct.pack(f">HBB{len(shape)}I", 0, UNSIGNED_BYTE, len(shape), *shape)
    if not content.startswith(header) or len(content) != len(header) + math.prod(shape):
        raise damaged(path, f"it is no idx file of {' x '.join(map(str, shape))} bytes")
    return np.frombuffer(content, np.uint8, offset=len(header)).reshape(shape)


def _archives(label: str) -> dict[str, str]:
    """The MD5 of each .gz file as published."""
    from torchvision import datasets

    return dict(getattr(datasets, label).resources)


def _verify(path: Path, content: bytes, algorithm: str, known: str) -> None:
    # md5 guards against damage, not against an attacker
    found = hashlib.new(algorithm, content, usedforsecurity=False).hexdigest()
    if found != known:
        raise damaged(path, f"its {algorithm} is {found}, not {known}")


def _compare(path: Path, content: bytes, md5: str) -> None:
    """Refuse what is not in the archive that it came in, where that is present."""
    archive = path.with_name(f"{path.name}.gz")
    if archive.is_file():
        packed = read_file(archive)
        _verify(archive, packed, "md5", md5)
        if gzip.decompress(packed) != content:
            raise damaged(path, f"it is not what {archive.name} contains")


def _check_labels(path: Path, array: NDArray[np.uint8]) -> None:
    counts = np.bincount(array).tolist() if array.ndim == 1 else []
    if len(set(counts)) > 1:
        raise damaged(path, f"its classes hold {counts} images, not the same number each")


for _family in (MNIST, FASHION):
    DATASETS.register(
        _family.name,
        _family.summary,
        train=60_000,
        test=10_000,
        shape=(1, 28, 28),
        classes=10,
        files=tuple(f"{_family.torchvision_class}/raw/{file}" for file in SHAPES),
        integrity=_family.integrity,
    )(partial(read, _family))
