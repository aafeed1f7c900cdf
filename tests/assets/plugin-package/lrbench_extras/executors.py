"""An executor: the last trial first."""

from __future__ import annotations

from lrbench.execute import EXECUTORS


@EXECUTORS.register("backwards", "the last trial first, in this process")
def backwards(bench, run, trials):
    from lrbench.execute.trial import run_trial

    for trial in reversed(trials):
        for records in run_trial(bench, run, trial):
            yield trial, records
