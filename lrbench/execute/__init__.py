"""Where trials run. An executor takes trials and yields each with its records, written down."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from lrbench.execute.workbench import Workbench
from lrbench.experiment import Host, TrialSpec
from lrbench.records import Record
from lrbench.registry import Registry
from lrbench.run.store import Run

Executor = Callable[[Workbench, Run, Sequence[TrialSpec]], Iterator[tuple[TrialSpec, list[Record]]]]
"""Yields (trial, records): an empty list when the trial starts, then what each epoch left. The
records of a trial end with its `TrialEnd`, whatever happened to it."""

EXECUTORS: Registry[Executor] = Registry("executor", "lrbench.execute")

__all__ = ["EXECUTORS", "Executor", "Host", "Workbench"]
