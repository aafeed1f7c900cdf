"""An executor: the last trial first."""

from __future__ import annotations

from contextlib import contextmanager

from lrbench.execute import EXECUTORS


@EXECUTORS.register("backwards", "the last trial first, in this process")
@contextmanager
def backwards(bench, run):
    from lrbench.execute.trial import run_trial

    def train(trials):
        for trial in reversed(trials):
            for records in run_trial(bench, run, trial):
                yield trial, records

    yield train
