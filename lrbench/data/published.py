"""Published dataset files: where they lie, how they come, and whether they are as published."""

import contextlib
import hashlib
import os
import sys
import zlib
from collections.abc import Collection, Iterator
from http.client import HTTPException
from pathlib import Path
from tarfile import TarError

from lrbench.errors import MachineError
from lrbench.files import read_file


def data_folder(data_dir: Path | None = None) -> Path:
    """The dataset folder: the argument, else LRBENCH_DATA_DIR, else the user's cache."""
    named = data_dir or os.environ.get("LRBENCH_DATA_DIR")
    return Path(named).expanduser() if named else cache_folder() / "data"


def cache_folder() -> Path:
    """The user's cache directory for lrbench; XDG_CACHE_HOME moves it."""
    from platformdirs import user_cache_dir

    return Path(user_cache_dir("lrbench"))


def damaged(path: Path, what: str, hint: str = "delete it and pass --download") -> MachineError:
    return MachineError(f"{path} is damaged: {what}", hint=hint)


def obtain(
    name: str, torchvision_class: str, folder: Path, paths: Collection[Path], *, download: bool
) -> None:
    """Check that all files exist; with `download`, torchvision fetches missing ones."""
    if download and not all(path.is_file() for path in paths):
        with downloading(name, folder):
            from torchvision import datasets

            getattr(datasets, torchvision_class)(str(folder), download=True)
    for path in paths:
        if not path.is_file():
            raise MachineError(
                f"dataset {name} is not in {folder} (no {path.relative_to(folder)})",
                hint="pass --download to fetch it, or --data-dir DIR (or set LRBENCH_DATA_DIR) "
                "where it is; mnist5k needs no download",
            )


def verify(path: Path, algorithm: str, known: str, content: bytes | None = None) -> None:
    """Refuse a file whose digest (of `content` if it is read already) is not the published one."""
    whole = read_file(path) if content is None else content
    # md5 is what CIFAR's authors published: it guards against damage, not against an attacker
    found = hashlib.new(algorithm, whole, usedforsecurity=False).hexdigest()
    if found != known:
        raise damaged(path, f"its {algorithm} is {found}, not {known}")


@contextlib.contextmanager
def downloading(name: str, folder: Path) -> Iterator[None]:
    """Run torchvision's download: its output goes to stderr, its exceptions become one line."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with contextlib.redirect_stdout(sys.stderr):
            yield
    except (OSError, RuntimeError, EOFError, HTTPException, TarError, zlib.error) as fault:
        first = next(iter(str(fault).splitlines()), type(fault).__name__)
        raise MachineError(
            f"dataset {name} could not be fetched into {folder}: {first}",
            hint="check the network and the folder, or use mnist5k, which needs no download",
        ) from None
