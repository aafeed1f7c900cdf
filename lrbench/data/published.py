"""Published dataset files: where they are, how to obtain them, and messages about damaged ones."""

import os
import sys
import zlib
from contextlib import redirect_stdout
from http.client import HTTPException
from pathlib import Path
from tarfile import TarError

from platformdirs import user_cache_path

from lrbench.data.image_data import DATASETS
from lrbench.errors import MachineError


def data_folder(data_dir: Path | None = None) -> Path:
    """The dataset folder: the argument, else LRBENCH_DATA_DIR, else the user's cache."""
    named = data_dir or os.environ.get("LRBENCH_DATA_DIR")
    return Path(named).expanduser() if named else user_cache_path("lrbench") / "data"


def damaged(path: Path, what: str, hint: str = "delete it and pass --download") -> MachineError:
    return MachineError(f"{path} is damaged: {what}", hint=hint)


def obtain(name: str, torchvision_class: str, data_dir: Path | None, download: bool) -> Path:
    """The folder with all files of a dataset; with `download`, torchvision fetches missing ones."""
    folder = data_folder(data_dir)
    files = DATASETS.get(name).facts["files"]
    if download and not all((folder / file).is_file() for file in files):
        from torchvision import datasets

        try:
            folder.mkdir(parents=True, exist_ok=True)
            with redirect_stdout(sys.stderr):
                getattr(datasets, torchvision_class)(str(folder), download=True)
        except (OSError, RuntimeError, EOFError, HTTPException, TarError, zlib.error) as fault:
            first = next(iter(str(fault).splitlines()), type(fault).__name__)
            raise MachineError(
                f"dataset {name} could not be fetched into {folder}: {first}",
                hint="check the network and the folder, or use mnist5k, which needs no download",
            ) from None
    for file in files:
        if not (folder / file).is_file():
            raise MachineError(
                f"dataset {name} is not in {folder} (no {file})",
                hint="pass --download to fetch it, or --data-dir DIR (or set LRBENCH_DATA_DIR) "
                "where it is; mnist5k needs no download",
            )
    return folder
