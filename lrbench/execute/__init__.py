"""Where trials run. An executor lives as long as a run, and takes the trials of one stage after
the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager

from lrbench.execute.workbench import Workbench
from lrbench.options import Host, TrialSpec
from lrbench.records import Record
from lrbench.registry import Registry
from lrbench.run.store import Run

Train = Callable[[Sequence[TrialSpec]], Iterator[tuple[TrialSpec, list[Record]]]]
"""Yields (trial, records): an empty list when the trial starts, then what each epoch left, written
down. The records of a trial end with its `TrialEnd`, whatever happened to it."""

Executor = Callable[[Workbench, Run], AbstractContextManager[Train]]

EXECUTORS: Registry[Executor] = Registry("executor", "lrbench.execute")

__all__ = ["EXECUTORS", "Executor", "Host", "Train", "Workbench"]
