"""What is made of a summary: each renderer is one file here, or an entry point of another package
in the group `lrbench.renderers`."""

from collections.abc import Callable, Sequence
from pathlib import Path

from lrbench.analysis import Summary
from lrbench.registry import Registry

Renderer = Callable[[Summary, Path], list[Path]]
"""Writes files into the run's folder, which holds its `manifest.json`; gives their paths.
Equal summaries give equal bytes. Registered with `always=True` it runs after every comparison."""

RENDERERS: Registry[Renderer] = Registry("renderer", "lrbench.report.renderers")


def write_all(summary: Summary, folder: Path, also: Sequence[str] = ()) -> list[Path]:
    """Run every renderer that always runs, and those that were asked for.

    Raises:
        MachineError: a file cannot be written; the message names it.
        UsageError: an unknown renderer.
    """
    wanted = [entry for entry in RENDERERS if entry.facts.get("always")]
    wanted += [entry for name in also if (entry := RENDERERS.get(name)) not in wanted]
    return [path for entry in wanted for path in entry.make(summary, folder)]
