"""What was decoded from an image folder, kept for its next use."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lrbench.data.access import cache_folder
from lrbench.data.image_data import Augmentation, ImageData

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FORMAT = 1


@dataclass(frozen=True)
class Remembered:
    """A decoded folder, and for every file its name, a digest, and (size, mtime_ns)."""

    data: ImageData
    names: list[str]
    digests: list[bytes]
    stats: list[tuple[int, int]]


def cache_file(root: Path) -> Path:
    """Where the decoded images of a folder are kept."""
    key = hashlib.sha256(os.fsencode(root)).hexdigest()[:24]
    return cache_folder() / "folders" / f"{key}.npz"


def remember(path: Path, what: Remembered) -> None:
    """Write the cache, whole or not at all. Where it cannot be written, go without."""
    import numpy as np

    data = what.data
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
        try:
            with os.fdopen(descriptor, "wb") as file:
                np.savez(
                    file,
                    format=np.array(FORMAT),
                    digest=np.array(data.digest),
                    train_images=data.train_images,
                    train_labels=data.train_labels,
                    test_images=data.test_images,
                    test_labels=data.test_labels,
                    classes=_packed(data.classes),
                    rule=np.array([data.augmentation.crop_padding, int(data.augmentation.flip)]),
                    names=_packed(what.names),
                    digests=np.frombuffer(b"".join(what.digests), np.uint8),
                    stats=np.array(what.stats, dtype=np.int64),
                )
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)


def recall(path: Path, name: str) -> Remembered | None:
    """What was remembered; None when nothing was, or when the cache itself is damaged."""
    import numpy as np

    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
            if int(kept["format"]) != FORMAT:
                return None
            padding, flip = kept["rule"].tolist()
            data = ImageData(
                name=name,
                train_images=kept["train_images"],
                train_labels=kept["train_labels"],
                test_images=kept["test_images"],
                test_labels=kept["test_labels"],
                classes=tuple(_unpacked(kept["classes"])),
                augmentation=Augmentation(padding, bool(flip)),
            )
            whole = kept["digests"].tobytes()
            names = _unpacked(kept["names"])
            digests = [whole[start : start + 16] for start in range(0, len(whole), 16)]
            stats = [(size, mtime) for size, mtime in kept["stats"].tolist()]
            intact = str(kept["digest"]) == data.digest and len(names) == len(digests) == len(stats)
    except Exception:  # a damaged archive may fail anywhere: it is made again
        return None
    return Remembered(data, names, digests, stats) if intact else None


def _packed(texts: Sequence[str]) -> NDArray[np.uint8]:
    """Names as bytes: they may hold what is no valid text, but never a NUL."""
    import numpy as np

    return np.frombuffer(os.fsencode("\0".join(texts)), np.uint8)


def _unpacked(packed: NDArray[np.uint8]) -> list[str]:
    return os.fsdecode(packed.tobytes()).split("\0")
