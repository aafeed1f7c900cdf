"""Load, fetch and check datasets by name."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lrbench import plugins
from lrbench.data.folder import FOLDER_PREFIX, Reading, load_folder, root_of, scan
from lrbench.data.image_data import DATASETS, ImageData, Make
from lrbench.data.own_data import Progress, load_own
from lrbench.data.published import data_folder
from lrbench.data.text import DEFAULTS
from lrbench.errors import MachineError, UsageError
from lrbench.options.recipe import problem_of
from lrbench.registry import Entry


def load(
    name: str,
    data_dir: Path | None = None,
    download: bool = False,
    progress: Progress | None = None,
    reading: Reading = "cached",
) -> ImageData:
    """Load a registered dataset, `folder:PATH` or the user's `module:function`. `reading` says how
    far to trust a folder's cache.

    Raises:
        UsageError: unknown name.
        MachineError: the dataset is missing or damaged.
    """
    if problem_of("", name) == "text":
        raise UsageError(f"{name}: it is a text, not images; trainings read it directly")
    if name.startswith(FOLDER_PREFIX):
        return load_folder(name, progress, reading)
    if plugins.is_own(name):
        return load_own(name, data_dir, progress)
    entry = DATASETS.get(name)
    data = entry.make(data_dir, download)
    for split, labels in (("train", data.train_labels), ("test", data.test_labels)):
        if entry.facts.get(split) not in (None, len(labels)):
            raise MachineError(
                f"dataset {name} is damaged: {len(labels)} {split} images, not {entry.facts[split]}"
            )
    return data


def defaults_of(name: str) -> Mapping[str, Any]:
    """A dataset's own defaults, by option."""
    if problem_of("", name) == "text":
        return DEFAULTS
    return DATASETS.get(name).facts if name in DATASETS else {}


def train_size(name: str) -> int | None:
    """The number of training images, validation included, without reading any; None if unknown.
    Raises as `load` does."""
    if name.startswith(FOLDER_PREFIX):
        return scan(root_of(name)).train
    if problem_of("", name) == "text":
        return None
    if plugins.is_own(name):
        plugins.load_callable(name, "--dataset")
        return None
    return DATASETS.get(name, option="--dataset").facts.get("train") if name else None


def whereabouts(entry: Entry[Make], data_dir: Path | None = None) -> tuple[str, Path | None]:
    """For a registered dataset: "here" or "missing", and the folder of its files; its origin and
    None if it has no files."""
    files = [data_folder(data_dir) / file for file in entry.facts.get("files", ())]
    if not files:
        return entry.facts.get("origin", "generated"), None
    return "here" if all(file.is_file() for file in files) else "missing", files[0].parent


def check(
    name: str,
    data_dir: Path | None = None,
    progress: Progress | None = None,
    *,
    fetch: bool = False,
) -> tuple[ImageData, Path | None, str]:
    """Read a whole dataset and verify it; returns the data, its folder and what was verified. With
    `fetch`, download it if missing, and accept a folder of images in its current state. Raises as
    `load` does."""
    data = load(name, data_dir, fetch, progress, "accept" if fetch else "rehash")
    if name.startswith(FOLDER_PREFIX):
        return data, root_of(name), "every file as it was when the folder was first used"
    if name not in DATASETS:
        return data, None, "shapes, types and labels"
    entry = DATASETS.get(name)
    _, folder = whereabouts(entry, data_dir)
    return data, folder, entry.facts.get("integrity", "counts and labels")
