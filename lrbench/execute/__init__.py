"""Where trials run. An executor lives as long as its run. It takes the trials of one stage at a
time, or the trainings of a range test that can run in parallel."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

from lrbench.execute.workbench import Workbench
from lrbench.options import Host, TrialSpec
from lrbench.rangetest.training import Piece
from lrbench.registry import Registry
from lrbench.run.store import Run

Work = TrialSpec | Piece
Train = Callable[[Sequence[Work]], Iterator[tuple[Any, list[Any]]]]
"""Yields (trial, records): an empty list when the trial starts, then the records of each epoch,
once they are on disk. The last record of a trial is its `TrialEnd`, whatever happened. A piece of a
range test yields plain numbers, starting over with an empty list if it is repeated."""

Executor = Callable[[Workbench, Run], AbstractContextManager[Train]]

EXECUTORS: Registry[Executor] = Registry("executor", "lrbench.execute", skip=("trial",))


def run_work(bench: Workbench, run: Run, work: Work) -> Iterator[list[Any]]:
    """Run a trial or a piece of a range test; yields an empty list, then results as they come."""
    from lrbench.execute.trial import run_piece, run_trial

    return run_trial(bench, run, work) if isinstance(work, TrialSpec) else run_piece(bench, work)


__all__ = ["EXECUTORS", "Executor", "Host", "Train", "Work", "Workbench", "run_work"]
