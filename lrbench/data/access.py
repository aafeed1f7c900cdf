"""Load, fetch, check and list datasets by name."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lrbench import plugins
from lrbench.data.folder import FOLDER_PREFIX, Reading, load_folder, root_of, scan
from lrbench.data.image_data import DATASETS, ImageData, Make
from lrbench.data.own_data import Progress, load_own
from lrbench.data.published import data_folder
from lrbench.data.text import DEFAULTS
from lrbench.errors import MachineError, UsageError
from lrbench.options.recipe import problem_of
from lrbench.registry import Entry


@dataclass(frozen=True)
class Listed:
    """A registered dataset, seen without reading it. `train` and `test` count images, `shape` is
    [c, h, w], `path` is the folder of its files, present or not."""

    name: str
    summary: str
    state: Literal["bundled", "generated", "here", "missing"]
    train: int | None
    test: int | None
    shape: tuple[int, int, int] | None
    classes: int | None
    path: Path | None


@dataclass(frozen=True)
class Checked:
    """A dataset that was read and is sound; `integrity` says what was checked."""

    name: str
    path: Path | None
    train: int
    test: int
    shape: tuple[int, int, int]
    classes: tuple[str, ...]
    digest: str
    integrity: str


def load(
    name: str,
    data_dir: Path | None = None,
    download: bool = False,
    progress: Progress | None = None,
    *,
    option: str = "--dataset",
    reading: Reading = "cached",
) -> ImageData:
    """Load a registered dataset, `folder:PATH` or the user's `module:function`. `option` is what
    error messages name; `reading` says how far a folder's cache is trusted.

    Raises:
        UsageError: unknown name.
        MachineError: the dataset is missing or damaged.
    """
    if problem_of("", name) == "text":
        raise UsageError(f"{option} {name}: it is a text, not images; a training reads it as it is")
    if name.startswith(FOLDER_PREFIX):
        return load_folder(name, progress, reading=reading, option=option)
    if plugins.is_own(name):
        return load_own(name, data_dir, progress)
    entry = DATASETS.get(name, option=option)
    data = entry.make(data_dir, download)
    for split, labels in (("train", data.train_labels), ("test", data.test_labels)):
        if entry.facts.get(split) not in (None, len(labels)):
            raise MachineError(
                f"dataset {name} is damaged: {len(labels)} {split} images, not {entry.facts[split]}"
            )
    return data


def defaults_of(name: str) -> Mapping[str, Any]:
    """What a dataset has instead of the general defaults, by option."""
    if problem_of("", name) == "text":
        return DEFAULTS
    return DATASETS.get(name).facts if name in DATASETS else {}


def train_size(name: str) -> int | None:
    """The number of training images, validation included, without reading any; None if unknown.
    Raises as `load` does."""
    if name.startswith(FOLDER_PREFIX):
        return scan(root_of(name)).count("train")
    if problem_of("", name) == "text":
        return None
    if plugins.is_own(name):
        plugins.load_callable(name, "--dataset")
        return None
    return DATASETS.get(name, option="--dataset").facts.get("train") if name else None


def listing(data_dir: Path | None = None) -> list[Listed]:
    """Every registered dataset, and whether its files are present."""
    return [_listed(entry, data_folder(data_dir)) for entry in DATASETS]


def check(
    name: str,
    data_dir: Path | None = None,
    progress: Progress | None = None,
    *,
    fetch: bool = False,
) -> Checked:
    """Read a whole dataset and compare it with what is known of it. With `fetch` it is downloaded
    if it is missing, and a folder of images accepted as it is now. Raises as `load` does."""
    reading: Reading = "accept" if fetch else "rehash"
    data = load(name, data_dir, fetch, progress, option="NAME", reading=reading)
    path, integrity = None, "shapes, types and labels"
    if name.startswith(FOLDER_PREFIX):
        path, integrity = root_of(name), "every file as it was when the folder was first used"
    elif name in DATASETS:
        entry = DATASETS.get(name)
        path = _listed(entry, data_folder(data_dir)).path
        integrity = entry.facts.get("integrity", "counts and labels")
    sizes = len(data.train_labels), len(data.test_labels)
    return Checked(name, path, *sizes, data.image_shape, data.classes, data.digest, integrity)


def _listed(entry: Entry[Make], folder: Path) -> Listed:
    facts = entry.facts
    files = [folder / file for file in facts.get("files", ())]
    state = facts.get("origin", "generated")
    if state == "download":
        state = "here" if all(file.is_file() for file in files) else "missing"
    counts = {key: facts.get(key) for key in ("train", "test", "shape", "classes")}
    path = files[0].parent if files else None
    return Listed(entry.name, entry.summary, state, path=path, **counts)
