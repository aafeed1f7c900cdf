"""One trial in a run directory: failed, resumed, left clean."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lrbench.errors import MachineError
from lrbench.execute import Host, Workbench
from lrbench.execute import trial as module
from lrbench.execute.trial import run_trial
from lrbench.options import Recipe, TrialSpec
from lrbench.records import EpochRecord
from lrbench.run.store import Run

RECIPE = Recipe(dataset="synthetic", model="mlp", batch_size=256)


def spec(**changes: Any) -> TrialSpec:
    fields: dict[str, Any] = {
        "recipe": RECIPE,
        "schedule": "cosine",
        "lr": 0.05,
        "seed": 0,
        "stage": "final",
        "epochs": 4,
    }
    return TrialSpec(**{**fields, **changes})


@pytest.fixture(scope="module")
def bench() -> Workbench:
    return Workbench(RECIPE, Host(device="cpu", threads=1))


def timeless(run: Run, trial: TrialSpec) -> list[Any]:
    history = run.histories[trial.id]
    epochs = [replace(e, train_s=0.0, throughput_img_s=0.0) for e in history.epochs]
    assert history.end is not None
    return [*epochs, replace(history.end, train_s=0.0, throughput_img_s=None)]


def test_a_trial_that_was_cut_off_goes_on_from_its_checkpoint(
    tmp_path: Path, bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, cut = Run(tmp_path / "whole"), Run(tmp_path / "cut")
    list(run_trial(bench, whole, spec()))
    monkeypatch.setattr(module, "CHECKPOINT_S", -1.0)
    stream = run_trial(bench, cut, spec())
    for records in stream:
        if any(isinstance(record, EpochRecord) and record.epoch == 2 for record in records):
            break
    stream.close()
    assert cut.state_path(spec().id).exists()
    again = [r for records in run_trial(bench, cut, spec()) for r in records]
    assert [r.epoch for r in again if isinstance(r, EpochRecord)] == [3, 4]
    assert timeless(cut, spec()) == timeless(whole, spec())
    assert not cut.state_path(spec().id).exists()


def test_without_a_checkpoint_it_starts_anew(tmp_path: Path, bench: Workbench) -> None:
    run = Run(tmp_path)
    stream = run_trial(bench, run, spec())
    next(stream), next(stream)
    stream.close()
    list(run_trial(bench, run, spec()))
    epochs = run.histories[spec().id].epochs
    assert [epoch.epoch for epoch in epochs] == [1, 2, 3, 4]


def test_a_checkpoint_that_knows_more_than_the_journal_is_not_believed(
    tmp_path: Path, bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHECKPOINT_S", -1.0)
    run = Run(tmp_path)
    stream = run_trial(bench, run, spec())
    next(stream), next(stream), next(stream)
    stream.close()
    run.begin(spec())
    again = [r for records in run_trial(bench, run, spec()) for r in records]
    assert [r.epoch for r in again if isinstance(r, EpochRecord)] == [1, 2, 3, 4]


@pytest.mark.parametrize(("epoch_s", "saved"), [(1.0, 3), (4.0, 15), (11.0, 30), (0.1, 0)])
def test_a_kill_costs_ten_seconds_or_one_epoch(
    tmp_path: Path,
    bench: Workbench,
    monkeypatch: pytest.MonkeyPatch,
    epoch_s: float,
    saved: int,
) -> None:
    """With a clock that each epoch moves on: nowhere is more than that not in a checkpoint."""
    clock = SimpleNamespace(now=0.0)
    clock.monotonic = lambda: clock.now
    monkeypatch.setattr(module, "time", clock)
    marks = []
    monkeypatch.setattr(module.checkpoint, "save", lambda *_: marks.append(clock.now))

    def epochs(*_: Any, **__: Any) -> Iterator[EpochRecord]:
        for epoch in range(1, 31):
            assert clock.now + epoch_s - max([0.0, *marks]) <= max(10.0, epoch_s)
            clock.now += epoch_s
            yield EpochRecord(spec().id, epoch, epoch, 0.1, 0.1, 1.0, 0.5, 1.0, 0.5, 1.0, 1.0)

    monkeypatch.setattr(module, "train", epochs)
    list(run_trial(bench, Run(tmp_path), spec(epochs=30)))
    assert len(marks) == saved


def test_what_the_model_raises_is_the_reason_of_a_failed_trial(
    tmp_path: Path, bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("CUDA out of memory\nand more")

    monkeypatch.setattr(module, "begin", broken)
    run = Run(tmp_path)
    (_, records) = list(run_trial(bench, run, spec()))
    end = run.histories[spec().id].end
    assert end is not None and records == [end]
    place = f"(test_trial.py, line {broken.__code__.co_firstlineno + 1})"
    assert (end.status, end.reason) == ("failed", f"RuntimeError: CUDA out of memory {place}")


def test_a_failure_before_the_first_record_is_kept_as_well(
    tmp_path: Path, bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("no such thing")

    run = Run(tmp_path)
    run.begin(spec())
    journal = run.journal_path(spec().id)
    journal.write_bytes(journal.read_bytes() + b'{"kind":"ep')
    monkeypatch.setattr(module, "_opened", broken)
    list(run_trial(bench, run, spec()))
    end = run.histories[spec().id].end
    assert end is not None and end.status == "failed"


def test_a_full_disk_is_not_the_trials_fault(
    tmp_path: Path, bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise MachineError("cannot write: no space left on device")

    monkeypatch.setattr(Run, "append", full)
    with pytest.raises(MachineError, match="no space left"):
        list(run_trial(bench, Run(tmp_path), spec()))


def test_a_diverged_trial_says_where(tmp_path: Path, bench: Workbench) -> None:
    run = Run(tmp_path)
    list(run_trial(bench, run, spec(lr=1e6)))
    end = run.histories[spec(lr=1e6).id].end
    assert end is not None and end.status == "diverged" and end.test_accuracy is None
    assert "epoch" in end.reason and end.machine["threads"] == 1
