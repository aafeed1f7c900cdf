"""What the commands share: folders, notices, tables."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrbench.errors import MachineError, Notice, printable
from lrbench.experiment import Recipe
from lrbench.options import REPEATABLE

if TYPE_CHECKING:
    from rich.console import Console


def run_name(command: str, recipe: Recipe, fingerprint: str) -> str:
    """`command-dataset-model-12345678` or `command-task-12345678`, of letters that every file
    system takes."""
    problem = (recipe.task,) if recipe.task else (recipe.dataset.rpartition("/")[2], recipe.model)
    parts = (command, *problem, fingerprint[:8])
    return "-".join(re.sub(r"[^A-Za-z0-9._]+", "-", part).strip("-.") for part in parts)


def run_path(command: str, recipe: Recipe, fingerprint: str, out: Path | None) -> Path:
    """
    Raises:
        MachineError: `--out` is a file.
    """
    if out is not None and out.is_file():
        raise MachineError(f"--out {out}: it is a file, and a run is a folder")
    return out if out is not None else Path("results") / run_name(command, recipe, fingerprint)


def command_line(command: str, options: Mapping[str, Any], out: Path) -> str:
    """The command that repeats a run, ready for a shell."""
    words = ["lrbench", command]
    for name, value in options.items():
        option = "--" + name.replace("_", "-")
        if isinstance(value, bool):
            words.append(option if value else "--no-" + option[2:])
            continue
        items = list(value) if isinstance(value, (list, tuple)) else [value]
        for item in items if name in REPEATABLE else [",".join(map(str, items))]:
            words += [option, str(item)]
    return shlex.join([*words, "--out", str(out)])


def stderr() -> Console:
    """Where progress and warnings go."""
    from rich.console import Console

    console = Console(stderr=True, highlight=False)
    console.soft_wrap = not console.is_terminal  # one warning, one line, for whoever reads a pipe
    return console


def stdout() -> Console:
    """Where data goes."""
    from rich.console import Console

    return Console(highlight=False)


@contextmanager
def reading(name: str, *, quiet: bool = False) -> Iterator[Callable[[int, int], None]]:
    """A bar for the images of a dataset that take time to read; it shows once there are some."""
    from rich.progress import Progress

    console = stderr()
    with Progress(console=console, transient=True, disable=quiet or not console.is_terminal) as bar:
        task = bar.add_task(f"reading {printable(name)}", total=None, visible=False)
        yield lambda done, total: bar.update(task, completed=done, total=total, visible=True)


def as_json(document: Any) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False)


def notify(notices: Iterable[Notice]) -> None:
    """Say each warning once, on stderr."""
    from rich.text import Text

    console = stderr()
    for notice in dict.fromkeys(notices):
        console.print(Text("warning: ", style="yellow") + Text(printable(str(notice))))
