"""MNIST and Fashion-MNIST, in the files and folders of torchvision's classes."""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lrbench.data.access import data_folder
from lrbench.data.image_data import CLOTHES, DATASETS, DIGITS, Augmentation, ImageData
from lrbench.data.integrity import bring, contents, damaged, parse_idx, verify

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from lrbench.data.image_data import Labels

SHAPES = {
    "train-images-idx3-ubyte": (60_000, 28, 28),
    "train-labels-idx1-ubyte": (60_000,),
    "t10k-images-idx3-ubyte": (10_000, 28, 28),
    "t10k-labels-idx1-ubyte": (10_000,),
}


@dataclass(frozen=True)
class Family:
    """What is known of a dataset in MNIST's format; digests are by file, in the order of SHAPES.

    `archive_md5` is of the .gz files as published; `sha256` is of what is in them.
    """

    name: str
    torchvision_class: str
    classes: tuple[str, ...]
    augmentation: Augmentation
    archive_md5: tuple[str, ...]
    sha256: tuple[str, ...] = ()
    equal_classes: bool = False

    @property
    def files(self) -> tuple[str, ...]:
        return tuple(f"{self.torchvision_class}/raw/{file}" for file in SHAPES)


MNIST = Family(
    name="mnist",
    torchvision_class="MNIST",
    classes=tuple("0123456789"),
    augmentation=DIGITS,
    archive_md5=(
        "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "d53e105ee54ea40749a09fcbcd1e9432",
        "9fb629c4189551a2d022fa330f9573f3",
        "ec29112dd5afa0611ce80d1b7f02629c",
    ),
    sha256=(
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
)
FASHION = Family(
    name="fashion-mnist",
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
    equal_classes=True,
)  # fmt: skip


@DATASETS.register(
    "mnist",
    "70,000 handwritten digits, 28x28 grey",
    train=60_000,
    test=10_000,
    shape=(1, 28, 28),
    classes=10,
    origin="download",
    files=MNIST.files,
    integrity="SHA-256 of every file",
)
def mnist(data_dir: Path | None = None, download: bool = False) -> ImageData:
    """LeCun, Cortes and Burges, http://yann.lecun.com/exdb/mnist

    Raises:
        MachineError: missing, damaged, or not to be fetched.
    """
    return read(MNIST, data_folder(data_dir), download)


@DATASETS.register(
    "fashion-mnist",
    "70,000 pieces of clothing, 28x28 grey",
    train=60_000,
    test=10_000,
    shape=(1, 28, 28),
    classes=10,
    origin="download",
    files=FASHION.files,
    integrity="MD5 of the .gz files where they are, counts and labels otherwise",
)
def fashion_mnist(data_dir: Path | None = None, download: bool = False) -> ImageData:
    """Xiao, Rasul and Vollgraf, "Fashion-MNIST" (2017).

    Raises:
        MachineError: missing, damaged, or not to be fetched.
    """
    return read(FASHION, data_folder(data_dir), download)


def read(family: Family, folder: Path, download: bool) -> ImageData:
    """Read and verify the four files of a family; fetch them first if wanted and needed."""
    import numpy as np

    paths = [folder / file for file in family.files]
    bring(family.name, family.torchvision_class, folder, paths, download=download)
    parts = [
        verified(family, path, place, shape)
        for place, (path, shape) in enumerate(zip(paths, SHAPES.values(), strict=True))
    ]
    train_labels, test_labels = parts[1].astype(np.int64), parts[3].astype(np.int64)
    for path, labels in ((paths[1], train_labels), (paths[3], test_labels)):
        check_labels(family, path, labels)
    return ImageData(
        name=family.name,
        train_images=parts[0][:, None],
        train_labels=train_labels,
        test_images=parts[2][:, None],
        test_labels=test_labels,
        classes=family.classes,
        augmentation=family.augmentation,
    )


def verified(family: Family, path: Path, place: int, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """One file, held against every digest that is known of it."""
    content = contents(path)
    array = parse_idx(path, content, shape)
    if family.sha256:
        verify(path, "sha256", family.sha256[place], content)
        return array
    archive = path.with_name(path.name + ".gz")
    if archive.is_file():
        verify(archive, "md5", family.archive_md5[place])
        if unpacked(archive) != content:
            raise damaged(path, f"it is not what {archive.name} holds")
    return array


def unpacked(archive: Path) -> bytes:
    try:
        return gzip.decompress(contents(archive))
    except (OSError, EOFError, zlib.error) as fault:
        raise damaged(archive, str(fault)) from None


def check_labels(family: Family, path: Path, labels: Labels) -> None:
    """Raises MachineError: a label without a class, or classes of unequal size where the
    dataset is known to be balanced."""
    import numpy as np

    if labels.max() >= len(family.classes):
        raise damaged(path, f"it holds the label {labels.max()} of 0 .. {len(family.classes) - 1}")
    counts = np.bincount(labels, minlength=len(family.classes))
    if family.equal_classes and len(set(counts.tolist())) > 1:
        raise damaged(path, f"its classes hold {counts.tolist()} images, not the same number each")
