"""Is a file what was published? Refuse it by name before anything is trained on it."""

from __future__ import annotations

import contextlib
import hashlib
import math
import struct
import sys
import zlib
from collections.abc import Collection, Iterable, Iterator
from http.client import HTTPException
from pathlib import Path
from tarfile import TarError
from typing import TYPE_CHECKING, Any

from lrbench.errors import MachineError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# idx, the format of MNIST: two zero bytes, the type (8 is unsigned byte), the number of
# dimensions, then their sizes as big-endian 32-bit numbers (http://yann.lecun.com/exdb/mnist)
UNSIGNED_BYTE = 8


def missing(name: str, folder: Path, file: Path) -> MachineError:
    """The refusal of a dataset that is not there: where it was sought, and what to do."""
    return MachineError(
        f"dataset {name} is not in {folder} (no {file.relative_to(folder)})",
        hint=(
            "pass --download to fetch it, or --data-dir DIR (or set LRBENCH_DATA_DIR) where it "
            "is; mnist5k needs no download"
        ),
    )


def damaged(path: Path, what: str) -> MachineError:
    """The refusal of a file that is not what was published."""
    return MachineError(f"{path} is damaged: {what}", hint="delete it and pass --download")


def first_absent(paths: Iterable[Path]) -> Path | None:
    return next((path for path in paths if not path.is_file()), None)


def bring(
    name: str, torchvision_class: str, folder: Path, paths: Collection[Path], *, download: bool
) -> None:
    """See that all files are there; where one is not, torchvision's class may fetch them.

    Raises:
        MachineError: one is missing and not to be fetched, or cannot be fetched.
    """
    if download and first_absent(paths):
        with downloading(name, folder):
            from torchvision import datasets

            getattr(datasets, torchvision_class)(str(folder), download=True)
    if absent := first_absent(paths):
        raise missing(name, folder, absent)


def contents(path: Path) -> bytes:
    """Raises MachineError: the file cannot be read."""
    try:
        return path.read_bytes()
    except OSError as fault:
        raise MachineError(f"{path} cannot be read: {fault.strerror or fault}") from None


def verify(path: Path, algorithm: str, known: str, content: bytes | None = None) -> None:
    """Hold a file, or its content that was read already, against its published digest.

    Raises:
        MachineError: it is another one.
    """
    whole = contents(path) if content is None else content
    # md5 is what CIFAR's authors published; nothing here hides from an attacker behind it
    found = hashlib.new(algorithm, whole, usedforsecurity=False).hexdigest()
    if found != known:
        raise damaged(path, f"its {algorithm} is {found}, not {known}")


def parse_idx(path: Path, content: bytes, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """The bytes of an idx file, in the shape that it must have.

    Raises:
        MachineError: another magic number, count or length.
    """
    import numpy as np

    header = struct.pack(f">HBB{len(shape)}I", 0, UNSIGNED_BYTE, len(shape), *shape)
    length = len(header) + math.prod(shape)
    if len(content) != length:
        raise damaged(path, f"it has {len(content)} bytes, not {length}")
    if content[: len(header)] != header:
        raise damaged(path, f"its header is not that of {' x '.join(map(str, shape))} bytes")
    return np.frombuffer(content, np.uint8, offset=len(header)).reshape(shape)


@contextlib.contextmanager
def downloading(name: str, folder: Path) -> Iterator[None]:
    """Run torchvision's download: what it prints goes to stderr, what it raises becomes one line.

    Raises:
        MachineError: no network, no space, no permission, or a file that arrived damaged.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with contextlib.redirect_stdout(sys.stderr):
            yield
    except (OSError, RuntimeError, EOFError, HTTPException, TarError, zlib.error) as fault:
        first: Any = next(iter(str(fault).splitlines()), type(fault).__name__)
        raise MachineError(
            f"dataset {name} could not be fetched into {folder}: {first}",
            hint="check the network and the folder, or use mnist5k, which needs no download",
        ) from None
