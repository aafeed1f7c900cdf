"""Finding, loading, fetching and checking datasets by name."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lrbench import plugins
from lrbench.data.image_data import DATASETS, ImageData
from lrbench.data.own import load_own
from lrbench.errors import MachineError

if TYPE_CHECKING:
    from lrbench.registry import Entry

FOLDER_PREFIX = "folder:"
State = Literal["bundled", "generated", "here", "missing"]


@dataclass(frozen=True)
class Listed:
    """A dataset as it can be seen without reading it. Counts are images, `shape` is [c, h, w];
    `path` is where its files lie, or would."""

    name: str
    summary: str
    state: State
    train: int | None
    test: int | None
    shape: tuple[int, int, int] | None
    classes: int | None
    path: Path | None


@dataclass(frozen=True)
class Checked:
    """A dataset that was read and found to be sound, and how far that was looked into."""

    name: str
    path: Path | None
    train: int
    test: int
    shape: tuple[int, int, int]
    classes: tuple[str, ...]
    digest: str
    integrity: str


def data_folder(data_dir: Path | None = None) -> Path:
    """Where datasets lie: what was passed, else LRBENCH_DATA_DIR, else the user's cache."""
    if data_dir is not None:
        return Path(data_dir).expanduser()
    if named := os.environ.get("LRBENCH_DATA_DIR"):
        return Path(named).expanduser()
    return cache_folder() / "data"


def cache_folder() -> Path:
    """The user's cache directory for lrbench; XDG_CACHE_HOME moves it."""
    from platformdirs import user_cache_dir

    return Path(user_cache_dir("lrbench"))


def load(
    name: str,
    data_dir: Path | None = None,
    download: bool = False,
    progress: Callable[[int, int], None] | None = None,
    *,
    option: str = "--dataset",
) -> ImageData:
    """The dataset of that name, of `folder:PATH`, or of the user's `module:function`. `progress`
    hears of the images that are decoded, (so far, in all); `option` is what a refusal blames.

    Raises:
        UsageError: nobody knows the name.
        MachineError: the dataset is missing or damaged.
    """
    if name.startswith(FOLDER_PREFIX):
        from lrbench.data.folder import load_folder

        return load_folder(name, progress=progress)
    if plugins.is_own(name):
        return load_own(name, data_dir, progress)
    entry = DATASETS.get(name, option=option)
    return _counted(entry, entry.make(data_dir, download))


def train_size(name: str) -> int | None:
    """How many training images a dataset has, validation included, without reading one; None
    where that is not known, as without a name.

    Raises:
        UsageError: nobody knows the name.
        MachineError: a folder that is not there, or of another structure.
    """
    if name.startswith(FOLDER_PREFIX):
        from lrbench.data.folder import root_of, scan

        return scan(root_of(name)).count("train")
    if plugins.is_own(name):
        plugins.load_callable(name, "--dataset")
        return None
    if not name:
        return None
    size: int | None = DATASETS.get(name, option="--dataset").facts.get("train")
    return size


def listing(data_dir: Path | None = None) -> list[Listed]:
    """Every dataset with a name, and whether it is here."""
    return [_listed(entry, data_folder(data_dir)) for entry in DATASETS]


def check(
    name: str,
    data_dir: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Checked:
    """Read a whole dataset and hold it against what is known of it.

    Raises:
        UsageError: nobody knows the name.
        MachineError: the dataset is missing or damaged.
    """
    if name.startswith(FOLDER_PREFIX):
        from lrbench.data.folder import load_folder, root_of

        root_of(name, "NAME")
        return _checked(name, load_folder(name, progress=progress, rehash=True), data_dir)
    return _checked(name, load(name, data_dir, option="NAME"), data_dir)


def fetch(
    name: str,
    data_dir: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Checked:
    """Bring a dataset here where it is missing, and check it. A folder of images is decoded
    anew and taken as it now is.

    Raises:
        UsageError: nobody knows the name.
        MachineError: it cannot be fetched, or is damaged.
    """
    if name.startswith(FOLDER_PREFIX):
        from lrbench.data.folder import load_folder, root_of

        root_of(name, "NAME")
        return _checked(name, load_folder(name, progress=progress, accept=True), data_dir)
    return _checked(name, load(name, data_dir, True, option="NAME"), data_dir)


def _counted(entry: Entry[Any], data: ImageData) -> ImageData:
    """Raises MachineError: not as many images as the dataset is known to have."""
    for split, labels in (("train", data.train_labels), ("test", data.test_labels)):
        known = entry.facts.get(split)
        if known not in (None, len(labels)):
            raise MachineError(
                f"dataset {entry.name} is damaged: {len(labels)} {split} images, not {known}"
            )
    return data


def _listed(entry: Entry[Any], folder: Path) -> Listed:
    facts = entry.facts
    files = [folder / file for file in facts.get("files", ())]
    state = facts.get("origin", "generated")
    if state == "download":
        state = "here" if all(file.is_file() for file in files) else "missing"
    return Listed(
        name=entry.name,
        summary=entry.summary,
        state=state,
        train=facts.get("train"),
        test=facts.get("test"),
        shape=facts.get("shape"),
        classes=facts.get("classes"),
        path=files[0].parent if files else None,
    )


def _checked(name: str, data: ImageData, data_dir: Path | None) -> Checked:
    if name.startswith(FOLDER_PREFIX):
        from lrbench.data.folder import root_of

        path: Path | None = root_of(name)
        integrity = "every file as it was when the folder was first used"
    elif plugins.is_own(name):
        path, integrity = None, "shapes, types and labels"
    else:
        entry = DATASETS.get(name)
        path = _listed(entry, data_folder(data_dir)).path
        integrity = entry.facts.get("integrity", "counts and labels")
    return Checked(
        name=name,
        path=path,
        train=len(data.train_labels),
        test=len(data.test_labels),
        shape=data.image_shape,
        classes=data.classes,
        digest=data.digest,
        integrity=integrity,
    )
