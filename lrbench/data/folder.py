"""Any folder of images, `train/CLASS/*` and `test/CLASS/*` or just `CLASS/*`, as a dataset.

It is decoded once. The decoded bytes are cached with a digest of every file, so that later changes
are noticed.
"""

import hashlib
import io
import os
import shlex
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from random import Random
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from platformdirs import user_cache_path

from lrbench.data.image_data import ImageData, usual_augmentation
from lrbench.data.own_data import Progress
from lrbench.errors import MachineError, UsageError
from lrbench.files import read_file, replace_file

FOLDER_PREFIX = "folder:"
SPLITS = ("train", "test")
TEST_SHARE, TEST_SEED = 5, 0  # if a folder has no test set: a random fifth of each class
SUFFIXES = frozenset(
    {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
)
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")  # other formats may start programs
GREY_MODES = frozenset({"1", "L"})
DEEP_MODES = frozenset({"F", "I", "I;16", "I;16B", "I;16L", "I;16N"})
ARRAYS = ("train_images", "train_labels", "test_images", "test_labels")
FILES = ("names", "digests", "stats")

# "cached" trusts sizes and times, "rehash" reads every file again, "accept" accepts the folder's
# current state
Reading = Literal["cached", "rehash", "accept"]
Classes = dict[str, list[os.DirEntry[str]]]


@dataclass(frozen=True)
class Listing:
    """All image files of a folder, listed without opening any: training before test, classes and
    names sorted. `names` are paths relative to the root, `stats` (size, mtime_ns); the first
    `train` files are for training."""

    root: Path
    classes: tuple[str, ...]
    names: list[str]
    labels: list[int]
    stats: list[list[int]]
    train: int


def root_of(name: str) -> Path:
    """The folder of `folder:PATH`."""
    path = name.removeprefix(FOLDER_PREFIX)
    if not path or "\0" in path:
        raise UsageError("--dataset: folder:PATH needs a path, such as folder:./photos")
    return Path(path).expanduser().resolve()


def scan(root: Path) -> Listing:
    """List a folder, including folders within a class, without opening an image. Other files and
    names that start with a dot are skipped."""
    try:
        plain = root.is_dir() and not any((root / split).is_dir() for split in SPLITS)
        splits = _drawn_splits(root) if plain else _given_splits(root)
        files = [
            (file, file.stat(), label)
            for classes in splits
            for label, images in enumerate(classes.values())
            for file in images
        ]
    except OSError as fault:
        raise MachineError(f"dataset folder:{root} cannot be read: {fault}") from None
    return Listing(
        root,
        classes=tuple(splits[0]),
        names=[Path(file.path).relative_to(root).as_posix() for file, _, _ in files],
        labels=[label for _, _, label in files],
        stats=[[status.st_size, status.st_mtime_ns] for _, status, _ in files],
        train=sum(map(len, splits[0].values())),
    )


def _given_splits(root: Path) -> tuple[Classes, Classes]:
    for split in SPLITS:
        if not (root / split).is_dir():
            raise _no_folder(root, f"{root / split}")
    train, test = (_classes(root / split) for split in SPLITS)
    for odd in sorted(set(train) ^ set(test)):
        split = "test" if odd in train else "train"
        raise MachineError(f"{root / split} has no folder for the class {odd!r}")
    if len(train) < 2:
        raise MachineError(f"{root / 'train'} needs two classes or more, not {len(train)}")
    return train, test


def _drawn_splits(root: Path) -> tuple[Classes, Classes]:
    """For `CLASS/*`: the test set is a fifth of each class, drawn with a fixed seed."""
    train, test = _classes(root), dict[str, Any]()
    if len(train) < 2:
        raise _no_folder(root, f"{root / 'train'}, nor two folders of classes")
    for name, images in train.items():
        count = -(-len(images) // TEST_SHARE)
        if count == len(images):
            raise MachineError(f"{root / name} holds one image: two are needed for a test set")
        held = set(Random(TEST_SEED).sample(range(len(images)), count))
        train[name] = [image for place, image in enumerate(images) if place not in held]
        test[name] = [image for place, image in enumerate(images) if place in held]
    return train, test


def _classes(folder: Path) -> Classes:
    """The images of each class of a folder, sorted."""
    found = {}
    for entry in _visible(folder):
        if entry.is_dir():
            found[entry.name] = list(_images(entry.path))
            if not found[entry.name]:
                raise MachineError(f"{entry.path} holds no image")
    return found


def _images(folder: str) -> Iterator[os.DirEntry[str]]:
    for entry in _visible(folder):
        if entry.is_dir(follow_symlinks=False):
            yield from _images(entry.path)
        elif os.path.splitext(entry.name)[1].lower() in SUFFIXES and entry.is_file():
            yield entry


def _visible(folder: Path | str) -> list[os.DirEntry[str]]:
    entries = (entry for entry in os.scandir(folder) if not entry.name.startswith("."))
    return sorted(entries, key=lambda entry: entry.name)


def _no_folder(root: Path, what: str) -> MachineError:
    return MachineError(
        f"dataset folder:{root}: there is no folder {what}",
        hint="it needs train/CLASS/* and test/CLASS/* images, or CLASS/* alone",
    )


@dataclass(frozen=True)
class CachedFolder:
    """A decoded folder, with name, digest and (size, mtime_ns) of every file."""

    data: ImageData
    names: list[str]
    digests: list[str]
    stats: list[list[int]]

    @property
    def seal(self) -> str:
        """A digest of everything cached."""
        whole = repr((self.data.digest, self.names, self.digests, self.stats))
        return hashlib.sha256(whole.encode()).hexdigest()


def load_folder(
    name: str, progress: Progress | None = None, reading: Reading = "cached"
) -> ImageData:
    """Load the dataset `folder:PATH`.

    On first use the structure is checked and every file is hashed; later a changed, missing or new
    file is refused, unless `reading` is "accept".
    """
    listing = scan(root_of(name))
    known = None if reading == "accept" else read_cache(listing.root, name)
    if known is None:
        data, digests = decode(listing, name, progress)
    else:
        data, digests = known.data, known.digests
        if reading == "cached" and (known.names, known.stats) == (listing.names, listing.stats):
            return data
        _refuse_changes(listing, dict(zip(known.names, digests, strict=True)))
    write_cache(listing.root, CachedFolder(data, listing.names, digests, listing.stats))
    return data


def decode(
    listing: Listing, name: str, progress: Progress | None = None
) -> tuple[ImageData, list[str]]:
    """The images, all of one size, as arrays, and a digest of each file. Images stay grey if all
    are; a single colour image makes all of them RGB."""
    pictures, digests, total = [], [], len(listing.names)
    for done, file in enumerate(listing.names):
        if progress is not None and done % 100 == 0:
            progress(done, total)
        content = read_file(listing.root / file)
        digests.append(digest_of(content))
        pictures.append(_decoded(listing.root / file, content))
        (height, width), (rows, columns) = pictures[0].shape[:2], pictures[-1].shape[:2]
        if (height, width) != (rows, columns):
            raise MachineError(
                f"{listing.root / file} is {columns} x {rows} pixels, "
                f"{listing.root / listing.names[0]} is {width} x {height}",
                hint="make all images the same size",
            )
    if progress is not None:
        progress(total, total)
    channels = max(1 if picture.ndim == 2 else 3 for picture in pictures)
    images = np.empty((total, channels, height, width), dtype=np.uint8)
    for index, picture in enumerate(pictures):
        images[index] = picture if picture.ndim == 2 else picture.transpose(2, 0, 1)
    labels, train = np.array(listing.labels, dtype=np.int64), listing.train
    splits = images[:train], labels[:train], images[train:], labels[train:]
    return ImageData(name, *splits, listing.classes, usual_augmentation(images)), digests


def _decoded(path: Path, content: bytes) -> NDArray[np.uint8]:
    """uint8 `[h, w]` for a grey image, `[h, w, 3]` for any other."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            if image.mode in DEEP_MODES:
                raise MachineError(f"{path} has more than 8 bits per channel: convert it first")
            return np.asarray(image.convert("L" if image.mode in GREY_MODES else "RGB"))
    except MachineError:
        raise
    except Exception as fault:  # a damaged image may fail anywhere in its decoder
        why = str(fault).partition(" <_io.")[0]  # without the memory address
        raise MachineError(
            f"{path} is not a readable image: {why}", hint="restore or delete it"
        ) from None


def digest_of(content: bytes) -> str:
    """The first 16 bytes of the SHA-256, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()[:32]


def _refuse_changes(listing: Listing, known: dict[str, str]) -> None:
    """Raises MachineError for the first file that is missing, new or changed."""
    here = set(listing.names)
    changes = chain(
        ((name, "has vanished") for name in known if name not in here),
        ((name, "is new") for name in listing.names if name not in known),
        (
            (name, "has changed")
            for name in listing.names
            if digest_of(read_file(listing.root / name)) != known[name]
        ),
    )
    for name, what in changes:
        accept = shlex.join(["lrbench", "data", "fetch", f"{FOLDER_PREFIX}{listing.root}"])
        raise MachineError(
            f"{listing.root / name} {what} since its folder was first used",
            hint=f"restore it, or accept the folder as it is now: {accept}",
        )


def cache_file(root: Path) -> Path:
    key = hashlib.sha256(os.fsencode(root)).hexdigest()[:24]
    return user_cache_path("lrbench") / "folders" / f"{key}.npz"


def write_cache(root: Path, folder: CachedFolder) -> None:
    """Write the cache atomically; continue without one if it cannot be written."""
    arrays: dict[str, Any] = {key: getattr(folder.data, key) for key in (*ARRAYS, "classes")}
    arrays |= {key: getattr(folder, key) for key in FILES}
    memory = io.BytesIO()
    np.savez(memory, seal=folder.seal, **arrays)
    with suppress(MachineError):
        replace_file(cache_file(root), memory.getvalue())


def read_cache(root: Path, name: str) -> CachedFolder | None:
    """The cached folder; None if there is none, or if the cache is damaged."""
    try:
        with cache_file(root).open("rb") as file, np.load(file, allow_pickle=False) as kept:
            splits = {array: kept[array] for array in ARRAYS}
            rule = usual_augmentation(splits["train_images"])
            classes, *files = (kept[key].tolist() for key in ("classes", *FILES))
            data = ImageData(name, **splits, classes=tuple(classes), augmentation=rule)
            folder = CachedFolder(data, *files)
            return folder if str(kept["seal"]) == folder.seal else None
    except Exception:  # a damaged archive may fail anywhere: decode the folder again
        return None
