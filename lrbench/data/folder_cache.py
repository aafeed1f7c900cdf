"""The cache of a decoded image folder."""

import hashlib
import io
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrbench.data.image_data import Augmentation, ImageData
from lrbench.data.published import cache_folder
from lrbench.errors import MachineError
from lrbench.files import replace_file

FORMAT = 1
ARRAYS = ("train_images", "train_labels", "test_images", "test_labels")
SEALED = ("rule", "names", "digests", "stats")


@dataclass(frozen=True)
class CachedFolder:
    """A decoded folder; for every file its name, its digest, and (size, mtime_ns)."""

    data: ImageData
    names: list[str]
    digests: list[bytes]
    stats: list[tuple[int, int]]


def cache_file(root: Path) -> Path:
    key = hashlib.sha256(os.fsencode(root)).hexdigest()[:24]
    return cache_folder() / "folders" / f"{key}.npz"


def write_cache(path: Path, folder: CachedFolder) -> None:
    """Write the cache atomically; do without one where it cannot be written."""
    data = folder.data
    arrays: dict[str, Any] = {
        "format": np.array(FORMAT),
        **{name: getattr(data, name) for name in ARRAYS},
        "classes": _packed(data.classes),
        "rule": np.array([data.augmentation.crop_padding, int(data.augmentation.flip)]),
        "names": _packed(folder.names),
        "digests": np.frombuffer(b"".join(folder.digests), np.uint8),
        "stats": np.array(folder.stats, dtype=np.int64),
    }
    memory = io.BytesIO()
    np.savez(memory, **arrays, seal=np.array(_seal(data, arrays)))
    with suppress(MachineError):
        replace_file(path, memory.getvalue())


def read_cache(path: Path, name: str) -> CachedFolder | None:
    """The cached folder; None if there is none, or if the cache itself is damaged."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
            if int(kept["format"]) != FORMAT:
                return None
            padding, flip = kept["rule"].tolist()
            data = ImageData(
                name=name,
                **{array: kept[array] for array in ARRAYS},
                classes=tuple(_unpacked(kept["classes"])),
                augmentation=Augmentation(padding, bool(flip)),
            )
            whole = kept["digests"].tobytes()
            names = _unpacked(kept["names"])
            digests = [whole[start : start + 16] for start in range(0, len(whole), 16)]
            stats = [(size, mtime) for size, mtime in kept["stats"].tolist()]
            intact = str(kept["seal"]) == _seal(data, kept)
    except Exception:  # a damaged archive may fail anywhere: decode the folder again
        return None
    return CachedFolder(data, names, digests, stats) if intact else None


def _seal(data: ImageData, arrays: Mapping[str, Any]) -> str:
    """A digest of all that a cache holds; the data have one of their own."""
    rest = [arrays[name].tobytes() for name in SEALED]
    return hashlib.sha256(b"\0".join([data.digest.encode(), *rest])).hexdigest()


def _packed(texts: Sequence[str]) -> NDArray[np.uint8]:
    """File names as bytes: they need not be valid text, but never contain a NUL."""
    return np.frombuffer(os.fsencode("\0".join(texts)), np.uint8)


def _unpacked(packed: NDArray[np.uint8]) -> list[str]:
    return os.fsdecode(packed.tobytes()).split("\0")
