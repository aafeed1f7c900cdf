"""Where trials run. An executor lives as long as a run, and takes the trials of one stage after
the other, or the trainings of a range test that can run side by side."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

from lrbench.execute.trial import Work, run_work
from lrbench.execute.workbench import Workbench
from lrbench.options import Host
from lrbench.registry import Registry
from lrbench.run.store import Run

Train = Callable[[Sequence[Work]], Iterator[tuple[Any, list[Any]]]]
"""Yields (trial, records): an empty list when the trial starts, then what each epoch left, written
down. The records of a trial end with its `TrialEnd`, whatever happened to it. A piece of a range
test leaves plain numbers, again from an empty list on where it is repeated."""

Executor = Callable[[Workbench, Run], AbstractContextManager[Train]]

EXECUTORS: Registry[Executor] = Registry("executor", "lrbench.execute")

__all__ = ["EXECUTORS", "Executor", "Host", "Train", "Work", "Workbench", "run_work"]
