"""One trial after the other, in this process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lrbench.execute import EXECUTORS
from lrbench.execute.trial import run_trial
from lrbench.execute.workbench import Workbench
from lrbench.experiment import TrialSpec
from lrbench.records import Record
from lrbench.store import RunDir


@EXECUTORS.register("serial", "one trial after the other, in this process")
def serial(
    bench: Workbench, run: RunDir, trials: Sequence[TrialSpec]
) -> Iterator[tuple[TrialSpec, list[Record]]]:
    for trial in trials:
        for records in run_trial(bench, run, trial):
            yield trial, records
