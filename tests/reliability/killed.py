"""Runs a command line again and again in forked children, each killed at the next point between
two writes: before and after every write, fsync, replace and unlink. A process of its own:
`killed.py FOLDER STRIDE ARGV...` tries every STRIDE-th point, and prints a JSON line for each."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from lrbench.__main__ import run
from lrbench.execute import trial
from lrbench.report import plots

DEEDS = ("write", "fsync", "replace", "unlink")
KILLED = 9


def hook(point: int, only: str) -> None:
    """Die at the point-th moment before or after one of the deeds; a write dies half done as
    well. Only deeds on files in the run's folder count."""
    met = 0

    def meets(name: str, arguments: tuple[Any, ...]) -> None:
        nonlocal met
        target = arguments[0]
        file = os.readlink(f"/proc/self/fd/{target}") if isinstance(target, int) else str(target)
        if only in file:
            met += 1
            if met == point:
                if name == "write":
                    written(arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])
                os._exit(KILLED)

    def deadly(name: str, deed: Callable[..., Any]) -> Callable[..., Any]:
        def do(*arguments: Any, **more: Any) -> Any:
            meets(name, arguments)
            result = deed(*arguments, **more)
            meets("after", arguments)
            return result

        return do

    written = os.write
    for name in DEEDS:
        setattr(os, name, deadly(name, getattr(os, name)))


def child(point: int, folder: Path, argv: list[str]) -> int:
    pid = os.fork()
    if pid == 0:
        if point:
            hook(point, folder.name)
        os._exit(run([*argv, "--out", str(folder)]))
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def main() -> None:
    torch.set_num_threads(1)
    trial.CHECKPOINT_S = -1.0  # a checkpoint after every epoch
    plots.write = lambda *_: []  # type: ignore[assignment]
    where, stride, argv = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    run([*argv, "--out", str(where / "whole")])  # here: the children inherit what it imports
    for point in range(1, 1000, stride):
        folder = where / f"point-{point:03d}"
        if (first := child(point, folder, argv)) != KILLED:
            break
        line = {"point": point, "first": first, "again": child(0, folder, argv)}
        sys.stdout.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
