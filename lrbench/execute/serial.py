"""One trial after another, in this process; with `--at-once`, several of a recipe in turn."""

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from lrbench.execute import EXECUTORS, Train, Work, run_work
from lrbench.execute.workbench import Workbench
from lrbench.options import TrialSpec
from lrbench.run.store import Run


@EXECUTORS.register("serial", "one trial after another, in this process")
@contextmanager
def serial(bench: Workbench, run: Run) -> Iterator[Train]:
    def train(trials: Sequence[Work]) -> Iterator[tuple[Any, list[Any]]]:
        waiting, under_way = deque(trials), list[tuple[Work, Iterator[list[Any]]]]()
        at_once = bench.at_once if all(isinstance(each, TrialSpec) for each in trials) else 1
        while waiting or under_way:
            while waiting and len(under_way) < at_once:
                if under_way and waiting[0].recipe != under_way[0][0].recipe:
                    break  # they could not share a program
                trial = waiting.popleft()
                under_way.append((trial, run_work(bench, run, trial)))
            for trial, stream in list(under_way):
                records = next(stream, None)
                if records is None:
                    under_way.remove((trial, stream))
                else:
                    yield trial, records

    yield train
