"""Where datasets and decoded images are stored."""

from __future__ import annotations

import os
from pathlib import Path

FOLDER_PREFIX = "folder:"


def data_folder(data_dir: Path | None = None) -> Path:
    """The dataset folder: the argument, else LRBENCH_DATA_DIR, else the user's cache."""
    named = data_dir or os.environ.get("LRBENCH_DATA_DIR")
    return Path(named).expanduser() if named else cache_folder() / "data"


def cache_folder() -> Path:
    """The user's cache directory for lrbench; XDG_CACHE_HOME moves it."""
    from platformdirs import user_cache_dir

    return Path(user_cache_dir("lrbench"))
