"""Before anything imports torch: its threads wait as they do under the command, and cuBLAS works
as --deterministic wants it, which torch asks at the first matrix product of a process alone."""

import os
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from lrbench.engine.device import wait_briefly
from tests.own_code import own_pkg

wait_briefly()
os.environ.setdefault("OMP_NUM_THREADS", "1")  # several workers share the cores
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")

__all__ = ["own_pkg"]

_listeners: list[list[str]] = []


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and _listeners and isinstance(arguments[0], (str, os.PathLike)):
        path, flags = os.fspath(arguments[0]), arguments[2]
        reads = isinstance(flags, int) and flags & os.O_ACCMODE == os.O_RDONLY
        if reads and os.path.basename(path) in ("manifest.json", "journal.jsonl"):
            _listeners[-1].append(path)


sys.addaudithook(_hear)


@pytest.fixture(autouse=True)
def _same_weights() -> None:
    """A network that a test makes has the same weights in every run, whatever ran before it."""
    import torch

    torch.manual_seed(0)


@pytest.fixture
def without_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands of this process write their tables alone, in a tenth of the time."""
    from lrbench.report import renderers, write_csv

    monkeypatch.setattr(
        renderers, "write_all", lambda summary, folder, *_: write_csv.write(summary, folder)
    )


@pytest.fixture
def opens() -> Iterator[list[str]]:
    """The manifests and journals that this process opens to read, in order."""
    _listeners.append([])
    yield _listeners[-1]
    _listeners.pop()
