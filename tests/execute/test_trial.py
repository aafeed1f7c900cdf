"""One trial in a run directory: failed, resumed, left clean."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lrbench.errors import MachineError
from lrbench.execute import Host, Workbench
from lrbench.execute import trial as module
from lrbench.execute.trial import run_trial
from lrbench.options import Recipe
from lrbench.records import EpochRecord, Record, TrialEnd
from lrbench.run.store import Run
from tests.engine.tools import epochs_of, timeless
from tests.toys import trial

RECIPE = Recipe(dataset="synthetic", model="mlp", batch_size=256)
SPEC = trial(recipe=RECIPE, schedule="cosine", lr=0.05, stage="final", epochs=4)


@pytest.fixture(scope="module")
def bench() -> Workbench:
    return Workbench(RECIPE, Host(device="cpu", threads=1))


def written(bench: Workbench, run: Run) -> list[Record]:
    """What a trial writes from here to its end."""
    return [record for records in run_trial(bench, run, SPEC) for record in records]


def end_of(run: Run) -> TrialEnd:
    end = run.histories[SPEC.id].end
    assert end is not None
    return end


@pytest.mark.parametrize(
    ("checkpoint_s", "journal_kept", "anew"),
    [(-1.0, True, [3, 4]), (99.0, True, [1, 2, 3, 4]), (-1.0, False, [1, 2, 3, 4])],
)
def test_a_trial_that_was_cut_off_goes_on_from_a_checkpoint_that_the_journal_knows(
    tmp_path: Path, bench: Workbench, monkeypatch: Any, checkpoint_s: float, journal_kept: bool,
    anew: list[int],
) -> None:  # fmt: skip
    whole, cut = Run(tmp_path / "whole"), Run(tmp_path / "cut")
    expected = timeless(written(bench, whole))
    monkeypatch.setattr(module, "CHECKPOINT_S", checkpoint_s)
    stream = run_trial(bench, cut, SPEC)
    next(stream), next(stream), next(stream)
    stream.close()
    assert cut.state_path(SPEC.id).exists() == (checkpoint_s < 0)
    if not journal_kept:
        cut.begin(SPEC)
    found = timeless(written(bench, cut))
    assert [epoch.epoch for epoch in epochs_of(found)] == anew
    assert found == expected[-len(anew) - 1 :]
    assert timeless([*cut.histories[SPEC.id].epochs, end_of(cut)]) == expected
    assert not cut.state_path(SPEC.id).exists()


@pytest.mark.parametrize(("epoch_s", "saved"), [(1.0, 3), (4.0, 15), (11.0, 30), (0.1, 0)])
def test_a_kill_costs_ten_seconds_or_one_epoch(
    tmp_path: Path, bench: Workbench, monkeypatch: pytest.MonkeyPatch, epoch_s: float, saved: int
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
            yield EpochRecord(SPEC.id, epoch, epoch, 0.1, 0.1, 1.0, 0.5, 1.0, 0.5, 1.0, 1.0)

    monkeypatch.setattr(module, "train", epochs)
    written(bench, Run(tmp_path))
    assert len(marks) == saved


def test_what_the_model_raises_is_the_reason_of_a_failed_trial(
    tmp_path: Path, bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also before the first record, in a journal that ends within a line."""

    def broken(*_: Any) -> Any:
        raise RuntimeError("CUDA out of memory\nand more")

    run = Run(tmp_path)
    place = f"(test_trial.py, line {broken.__code__.co_firstlineno + 1})"
    expected = ("failed", f"RuntimeError: CUDA out of memory {place}")
    for name in ("begin", "_opened"):
        monkeypatch.setattr(module, name, broken)
        assert written(bench, run) == [end := end_of(run)]
        assert (end.status, end.reason) == expected
        run.begin(SPEC)
        journal = run.journal_path(SPEC.id)
        journal.write_bytes(journal.read_bytes() + b'{"kind":"ep')


def test_a_full_disk_is_not_the_trials_fault(
    tmp_path: Path, bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise MachineError("cannot write: no space left on device")

    monkeypatch.setattr(Run, "append", full)
    with pytest.raises(MachineError, match="no space left"):
        written(bench, Run(tmp_path))
