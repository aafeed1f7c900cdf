"""Any folder of images, `train/CLASS/*` and `test/CLASS/*` or `CLASS/*` alone, as a dataset.

It is decoded once. The decoded bytes are cached with a digest of every file, so that later changes
are noticed.
"""

import hashlib
import io
import os
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lrbench.data.folder_cache import CachedFolder, cache_file, read_cache, write_cache
from lrbench.data.image_data import DIGITS, PHOTOS, ImageData
from lrbench.data.own_data import Progress
from lrbench.errors import MachineError, UsageError
from lrbench.files import read_file

FOLDER_PREFIX = "folder:"
SPLITS = ("train", "test")
TEST_SHARE, TEST_SEED = 5, 0  # where a folder has no test set: a fifth of each class, as drawn
SUFFIXES = frozenset(
    {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
)
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")  # others may start programs
GREY_MODES = frozenset({"1", "L"})
DEEP_MODES = frozenset({"F", "I", "I;16", "I;16B", "I;16L", "I;16N"})

# "cached" trusts sizes and times, "rehash" reads every file again, "accept" takes the folder as it
# is now
Reading = Literal["cached", "rehash", "accept"]


@dataclass(frozen=True)
class ImageFile:
    """An image of a folder, seen without opening it."""

    split: str
    label: int
    path: Path
    size: int
    mtime_ns: int


@dataclass(frozen=True)
class Listing:
    """All image files of a folder: training before test, classes and names sorted."""

    root: Path
    classes: tuple[str, ...]
    files: tuple[ImageFile, ...]

    @property
    def names(self) -> list[str]:
        return [file.path.relative_to(self.root).as_posix() for file in self.files]

    @property
    def stats(self) -> list[tuple[int, int]]:
        return [(file.size, file.mtime_ns) for file in self.files]

    def count(self, split: str) -> int:
        return sum(file.split == split for file in self.files)


def root_of(name: str, option: str = "--dataset") -> Path:
    """The folder of `folder:PATH`."""
    path = name.removeprefix(FOLDER_PREFIX)
    if not path or "\0" in path:
        raise UsageError(f"{option}: folder:PATH needs a path, such as folder:./photos")
    return Path(path).expanduser().resolve()


def scan(root: Path) -> Listing:
    """List a folder without opening an image, folders within a class included. Other files and
    names that start with a dot are skipped."""
    try:
        split = not root.is_dir() or any((root / each).is_dir() for each in SPLITS)
        return _with_splits(root) if split else _without_splits(root)
    except OSError as fault:
        raise MachineError(f"dataset folder:{root} cannot be read: {fault}") from None


def _with_splits(root: Path) -> Listing:
    for split in SPLITS:
        if not (root / split).is_dir():
            raise _no_folder(root, f"{root / split}")
    classes, tests = (_classes(root / split) for split in SPLITS)
    for odd in sorted(set(classes) ^ set(tests)):
        split = "test" if odd in classes else "train"
        raise MachineError(f"{root / split} has no folder for the class {odd!r}")
    if len(classes) < 2:
        found = f"one class, {classes[0]!r}" if classes else "no folder for a class"
        raise MachineError(f"{root / 'train'} holds {found}: two are needed")
    files = tuple(
        file
        for split in SPLITS
        for label, name in enumerate(classes)
        for file in _images(root / split / name, split, label)
    )
    return Listing(root, tuple(classes), files)


def _without_splits(root: Path) -> Listing:
    """A folder of `CLASS/*`: the same fifth of each class, drawn once and for all, is the test
    set."""
    files: list[ImageFile] = []
    classes = _classes(root)
    for label, name in enumerate(classes):
        found = list(_images(root / name, "train", label))
        test = set(Random(TEST_SEED).sample(range(len(found)), -(-len(found) // TEST_SHARE)))
        if len(test) == len(found):
            raise MachineError(f"{root / name} holds one image: two are needed for a test set")
        files += [replace(file, split="test") if i in test else file
                  for i, file in enumerate(found)]  # fmt: skip
    if len(classes) < 2:
        raise _no_folder(root, f"{root / 'train'}, and no two of classes")
    return Listing(root, tuple(classes), tuple(sorted(files, key=lambda f: f.split == "test")))


def _no_folder(root: Path, what: str) -> MachineError:
    return MachineError(
        f"dataset folder:{root}: there is no folder {what}",
        hint="it needs train/CLASS/* and test/CLASS/* images, or CLASS/* alone",
    )


def load_folder(
    name: str,
    progress: Progress | None = None,
    *,
    reading: Reading = "cached",
    option: str = "--dataset",
) -> ImageData:
    """Load the dataset `folder:PATH`.

    At first use the structure is checked and every file is hashed; later a file that is changed,
    missing or new is refused, unless `reading` is "accept".
    """
    listing = scan(root_of(name, option))
    cache = cache_file(listing.root)
    known = None if reading == "accept" else read_cache(cache, name)
    if known is None:
        data, digests = decode(listing, name, progress)
        write_cache(cache, CachedFolder(data, listing.names, digests, listing.stats))
        return data
    unchanged = (known.names, known.stats) == (listing.names, listing.stats)
    if reading == "rehash" or not unchanged:
        _refuse_changes(listing, known)
        write_cache(cache, CachedFolder(known.data, known.names, known.digests, listing.stats))
    return known.data


def decode(
    listing: Listing, name: str, progress: Progress | None = None
) -> tuple[ImageData, list[bytes]]:
    """The images, all of one size, as arrays, and a digest of each file. All images grey stay
    grey; a single one in colour makes all of them RGB."""
    pictures, digests, total = [], [], len(listing.files)
    for done, file in enumerate(listing.files):
        if progress is not None and done % 100 == 0:
            progress(done, total)
        content = read_file(file.path)
        digests.append(digest_of(content))
        pictures.append(_decoded(file.path, content))
        (height, width), (rows, columns) = pictures[0].shape[:2], pictures[-1].shape[:2]
        if (height, width) != (rows, columns):
            raise MachineError(
                f"{file.path} is {columns} x {rows} pixels, "
                f"{listing.files[0].path} is {width} x {height}",
                hint="make all images the same size",
            )
    if progress is not None:
        progress(total, total)
    channels = max(1 if picture.ndim == 2 else 3 for picture in pictures)
    images = np.empty((total, channels, height, width), dtype=np.uint8)
    for index, picture in enumerate(pictures):
        images[index] = picture if picture.ndim == 2 else picture.transpose(2, 0, 1)
    labels = np.array([file.label for file in listing.files], dtype=np.int64)
    train = listing.count("train")
    splits = images[:train], labels[:train], images[train:], labels[train:]
    augmentation = PHOTOS if channels == 3 else DIGITS
    return ImageData(name, *splits, listing.classes, augmentation), digests


def digest_of(content: bytes) -> bytes:
    """The first 16 bytes of the SHA-256."""
    return hashlib.sha256(content).digest()[:16]


def _classes(folder: Path) -> list[str]:
    entries = (entry for entry in os.scandir(folder) if entry.is_dir())
    return sorted(entry.name for entry in entries if not entry.name.startswith("."))


def _images(folder: Path, split: str, label: int) -> Iterator[ImageFile]:
    found = list(_walk(folder))
    if not found:
        raise MachineError(f"{folder} holds no image")
    for entry in found:
        status = entry.stat()
        yield ImageFile(split, label, Path(entry.path), status.st_size, status.st_mtime_ns)


def _walk(folder: Path | str) -> Iterator[os.DirEntry[str]]:
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(entry.path)
        elif os.path.splitext(entry.name)[1].lower() in SUFFIXES and entry.is_file():
            yield entry


def _refuse_changes(listing: Listing, known: CachedFolder) -> None:
    """Raises MachineError: the first file that is changed, new or missing."""
    then = dict(zip(known.names, known.digests, strict=True))
    now = {name: file.path for name, file in zip(listing.names, listing.files, strict=True)}
    changes = (
        *((listing.root / name, "has vanished") for name in then if name not in now),
        *((path, "is new") for name, path in now.items() if name not in then),
        *((path, "") for name, path in now.items() if name in then),
    )
    for path, what in changes:
        name = path.relative_to(listing.root).as_posix()
        if what or digest_of(read_file(path)) != then[name]:
            accept = shlex.join(["lrbench", "data", "fetch", f"{FOLDER_PREFIX}{listing.root}"])
            raise MachineError(
                f"{path} {what or 'has changed'} since its folder was first used",
                hint=f"restore it, or take the folder as it now is: {accept}",
            )


def _decoded(path: Path, content: bytes) -> NDArray[np.uint8]:
    """uint8 `[h, w]` of a grey image, `[h, w, 3]` of any other."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            if image.mode in DEEP_MODES:
                raise MachineError(f"{path} has more than 8 bits a pixel: convert it first")
            return np.asarray(image.convert("L" if image.mode in GREY_MODES else "RGB"))
    except MachineError:
        raise
    except Exception as fault:  # a damaged image may fail in any part of its decoder
        raise MachineError(
            f"{path} is no readable image: {fault}", hint="restore or delete it"
        ) from None
