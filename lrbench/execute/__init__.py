"""Where trials run. An executor lives as long as a run, and takes the trials of one stage after
the other, or the trainings of a range test that can run side by side."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

from lrbench.execute.workbench import Workbench
from lrbench.options import Host, TrialSpec
from lrbench.rangetest.sweep import Piece
from lrbench.registry import Registry
from lrbench.run.store import Run

Work = TrialSpec | Piece
Train = Callable[[Sequence[Work]], Iterator[tuple[Any, list[Any]]]]
"""Yields (trial, records): an empty list when the trial starts, then what each epoch left, written
down. The records of a trial end with its `TrialEnd`, whatever happened to it. A piece of a range
test leaves plain numbers, again from an empty list on where it is repeated."""

Executor = Callable[[Workbench, Run], AbstractContextManager[Train]]

EXECUTORS: Registry[Executor] = Registry("executor", "lrbench.execute", skip=("trial",))


def run_work(bench: Workbench, run: Run, work: Work) -> Iterator[list[Any]]:
    """What a trial or a training of a range test leaves, as it comes; first an empty list."""
    from lrbench.execute.trial import run_piece, run_trial

    return run_trial(bench, run, work) if isinstance(work, TrialSpec) else run_piece(bench, work)


__all__ = ["EXECUTORS", "Executor", "Host", "Train", "Work", "Workbench", "run_work"]
