"""No training: numbers made up from a trial's id, to test everything around training."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from lrbench.execute import EXECUTORS, Train, Work, run_work
from lrbench.execute.workbench import Workbench
from lrbench.options import TrialSpec
from lrbench.records import EpochRecord, Record, TrialEnd
from lrbench.run.store import Run

STEPS = 10
IMAGES_S = 1e4


@EXECUTORS.register("mock", "trains nothing and makes numbers up, for tests", hidden=True)
@contextmanager
def mock(bench: Workbench, run: Run) -> Iterator[Train]:
    def train(trials: Sequence[Work]) -> Iterator[tuple[Any, list[Any]]]:
        for trial in trials:
            if not isinstance(trial, TrialSpec):  # range tests are real
                yield from ((trial, left) for left in run_work(bench, run, trial))
                continue
            yield trial, []
            run.begin(trial)
            for record in invented(trial):
                run.append(trial.id, [record])
                yield trial, [record]

    yield train


def invented(trial: TrialSpec) -> Iterator[Record]:
    """An accuracy that rises towards the trial's own ceiling."""
    ceiling = 0.8 + int(trial.id[:6], 16) / 16**6 / 10
    for epoch in range(1, trial.epochs + 1):
        accuracy = ceiling * (1 - math.exp(-3 * epoch / trial.epochs))
        yield EpochRecord(
            trial.id, epoch, epoch * STEPS, trial.lr, trial.lr, 1 - accuracy, accuracy,
            1 - accuracy, accuracy, train_s=0.01, throughput_img_s=IMAGES_S,
        )  # fmt: skip
    yield TrialEnd(
        trial.id, "done", epochs=trial.epochs, steps=trial.epochs * STEPS,
        start_loss=1.0, test_loss=1 - ceiling if trial.stage == "final" else None,
        test_accuracy=ceiling if trial.stage == "final" else None, train_s=0.01 * trial.epochs,
        throughput_img_s=IMAGES_S, machine={"device": "mock"},
    )  # fmt: skip
