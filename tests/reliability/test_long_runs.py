"""Many trials: memory and open files stay as they were, and writing records costs little."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from lrbench.engine import checkpoint
from lrbench.engine.train import Training, begin, train
from lrbench.execute import Host, Workbench
from lrbench.execute.mock import invented, mock
from lrbench.execute.trial import CHECKPOINT_S
from lrbench.experiment import Recipe, TrialSpec
from lrbench.records import EpochRecord
from lrbench.run.store import Run
from tests.reliability.tools import record

MEGABYTE = 2**20


def trials(count: int, epochs: int) -> list[TrialSpec]:
    return [
        TrialSpec(recipe=Recipe(), schedule="cosine", lr=0.1, seed=seed, stage="final",
                  epochs=epochs)
        for seed in range(count)
    ]  # fmt: skip


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads /proc")
@pytest.mark.parametrize("count", [40, pytest.param(200, marks=pytest.mark.soak)])
def test_memory_and_open_files_stay_flat(tmp_path: Path, count: int) -> None:
    run, bench = Run(tmp_path), Workbench(Recipe(), Host())
    wanted = trials(count, 50)
    list(mock(bench, run, wanted[:5]))
    before, files = resident_bytes(), len(os.listdir("/proc/self/fd"))
    most = 0
    for trial, _ in mock(bench, run, wanted):
        if trial.seed % 10 == 0:
            most = max(most, resident_bytes() - before)
    assert len(os.listdir("/proc/self/fd")) == files
    assert most < 20 * MEGABYTE
    began = time.perf_counter()
    histories = run.histories
    read_s = time.perf_counter() - began
    assert len(histories) == count and read_s < 10
    assert all(len(history.epochs) == 50 for history in histories.values())
    record(
        f"{count} mock trials x 50 epochs",
        f"memory +{most / MEGABYTE:.1f} MB at most, open files unchanged",
        f"read again in {read_s:.2f} s",
    )


@pytest.mark.long
def test_what_is_written_down_costs_a_few_milliseconds_an_epoch(tmp_path: Path) -> None:
    """A line for each epoch, and every ten seconds a checkpoint of the network that users begin
    with. The quickest of many: a loaded machine makes any of them slow, and none of them fast."""
    run, (trial,) = Run(tmp_path), trials(1, 100)
    run.begin(trial)
    lines_s = []
    for found in invented(trial):
        began = time.perf_counter()
        run.append(trial.id, [found])
        lines_s.append(time.perf_counter() - began)
    recipe = Recipe(dataset="synthetic", model="lenet")
    small = trial.model_copy(update={"recipe": recipe, "epochs": 1, "stage": "tune"})
    task = Workbench(recipe, Host(threads=1)).tuning_task
    training = begin(task, small)
    (epoch, _) = train(task, training)
    assert isinstance(epoch, EpochRecord)
    state_s = min(saved_s(training, tmp_path / "state.pt") for _ in range(20))
    share_s = state_s * min(1.0, epoch.train_s / CHECKPOINT_S)  # of an epoch
    assert min(lines_s) + share_s < max(5e-3, 0.02 * epoch.train_s)
    record(
        "journal and checkpoint, one epoch",
        f"{1e3 * min(lines_s):.2f} ms and {1e3 * state_s:.1f} ms every {CHECKPOINT_S:g} s",
        "bar: 5 ms an epoch, or 2 % of it",
    )


def saved_s(training: Training, path: Path) -> float:
    began = time.perf_counter()
    checkpoint.save(training, path)
    return time.perf_counter() - began
