"""MNIST and Fashion-MNIST, in the files and folders of torchvision's classes."""

import gzip
import math
import struct
import zlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrbench.data.image_data import CLOTHES, DATASETS, DIGITS, Augmentation, ImageData
from lrbench.data.published import damaged, data_folder, obtain, verify
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
    """A dataset in MNIST's format; digests are per file, in the order of SHAPES.

    `archive_md5` is of the .gz files as published; `sha256` is of what they contain.
    """

    name: str
    summary: str
    torchvision_class: str
    classes: tuple[str, ...]
    augmentation: Augmentation
    integrity: str
    archive_md5: tuple[str, ...] = ()
    sha256: tuple[str, ...] = ()
    equal_classes: bool = False

    @property
    def files(self) -> tuple[str, ...]:
        return tuple(f"{self.torchvision_class}/raw/{file}" for file in SHAPES)


# LeCun, Cortes and Burges, http://yann.lecun.com/exdb/mnist
MNIST = Family(
    name="mnist",
    summary="70,000 handwritten digits, 28x28 grey",
    torchvision_class="MNIST",
    classes=tuple("0123456789"),
    augmentation=DIGITS,
    integrity="SHA-256 of every file",
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
    torchvision_class="FashionMNIST",
    classes=(
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
        "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
    ),
    augmentation=CLOTHES,
    archive_md5=(
        "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "25c81989df183df01b3e8a0aad5dffbe",
        "bef4ecab320f06d8554ea6380940ec79",
        "bb300cfdad3c16e7a12a480ee83cd310",
    ),
    integrity="MD5 of the .gz files where they are, counts and labels otherwise",
    equal_classes=True,
)  # fmt: skip


def read(family: Family, data_dir: Path | None = None, download: bool = False) -> ImageData:
    """Read and verify the four files of a family; fetch missing ones if `download` is set."""
    folder = data_folder(data_dir)
    paths = [folder / file for file in family.files]
    obtain(family.name, family.torchvision_class, folder, paths, download=download)
    arrays: list[Any] = []
    for number, (path, shape) in enumerate(zip(paths, SHAPES.values(), strict=True)):
        array = verified(family, number, path, shape)
        if len(shape) == 1:
            check_labels(family, path, array)
        arrays.append(array[:, None] if len(shape) == 3 else array.astype(np.int64))
    train, train_labels, test, test_labels = arrays
    return ImageData(
        family.name, train, train_labels, test, test_labels, family.classes, family.augmentation
    )


def verified(family: Family, number: int, path: Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """One file, compared with every digest that is known of it."""
    content = read_file(path)
    array = parse_idx(path, content, shape)
    if family.sha256:
        verify(path, "sha256", family.sha256[number], content)
        return array
    archive = path.with_name(path.name + ".gz")
    if archive.is_file():
        verify(archive, "md5", family.archive_md5[number])
        try:
            unpacked = gzip.decompress(read_file(archive))
        except (OSError, EOFError, zlib.error) as fault:
            raise damaged(archive, str(fault)) from None
        if unpacked != content:
            raise damaged(path, f"it is not what {archive.name} contains")
    return array


def parse_idx(path: Path, content: bytes, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """The bytes of an idx file: two zero bytes, the type, the number of dimensions, their sizes as
    big-endian 32-bit numbers, then the data (http://yann.lecun.com/exdb/mnist)."""
    header = struct.pack(f">HBB{len(shape)}I", 0, UNSIGNED_BYTE, len(shape), *shape)
    length = len(header) + math.prod(shape)
    if len(content) != length:
        raise damaged(path, f"it has {len(content)} bytes, not {length}")
    if content[: len(header)] != header:
        raise damaged(path, f"its header is not that of {' x '.join(map(str, shape))} bytes")
    return np.frombuffer(content, np.uint8, offset=len(header)).reshape(shape)


def check_labels(family: Family, path: Path, labels: NDArray[np.uint8]) -> None:
    """Refuse a label without a class, and unequal classes where they are known to be equal."""
    if labels.max() >= len(family.classes):
        raise damaged(path, f"it has the label {labels.max()} of 0 .. {len(family.classes) - 1}")
    counts = np.bincount(labels, minlength=len(family.classes))
    if family.equal_classes and len(set(counts.tolist())) > 1:
        raise damaged(path, f"its classes hold {counts.tolist()} images, not the same number each")


for _family in (MNIST, FASHION):
    DATASETS.register(
        _family.name,
        _family.summary,
        train=60_000,
        test=10_000,
        shape=(1, 28, 28),
        classes=10,
        origin="download",
        files=_family.files,
        integrity=_family.integrity,
    )(partial(read, _family))
