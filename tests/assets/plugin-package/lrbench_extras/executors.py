"""An executor: the last trial first."""

from contextlib import contextmanager

from lrbench.execute import EXECUTORS, run_work


@EXECUTORS.register("backwards", "the last trial first, in this process")
@contextmanager
def backwards(bench, run):
    def train(trials):
        for trial in reversed(trials):
            for records in run_work(bench, run, trial):
                yield trial, records

    yield train
