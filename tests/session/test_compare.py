"""A comparison as a library: its sizes, one reading of the run, tables that follow the training."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from lrbench.__main__ import run
from lrbench.analysis import Summary
from lrbench.errors import UsageError
from lrbench.execute import Host
from lrbench.options import CompareSpec, Recipe
from lrbench.run.store import Run
from lrbench.session import compare as session
from lrbench.session.size import steps_by_batch_size


class Bench:
    """A workbench whose task has its own batches, or takes those of the recipe."""

    def __init__(self, samples: int | None, recipe: Recipe | None = None) -> None:
        self.samples = samples
        self.recipe = recipe or Recipe()

    def at(self, recipe: Recipe) -> Bench:
        return Bench(self.samples, recipe)

    @property
    def tuning_task(self) -> Any:
        return SimpleNamespace(samples_per_step=self.samples or self.recipe.batch_size)

    @property
    def steps_per_epoch(self) -> int:
        return 3584 // self.tuning_task.samples_per_step


def test_each_batch_size_has_its_steps() -> None:
    spec = CompareSpec(batch_sizes=(64, 128))
    assert steps_by_batch_size(spec, Bench(None)) == {64: 56, 128: 28}  # type: ignore[arg-type]


def test_a_task_with_batches_of_its_own_is_not_compared_with_itself() -> None:
    spec = CompareSpec(batch_sizes=(64, 128))
    with pytest.raises(UsageError, match="--batch-size 64,128: this task sets its own"):
        steps_by_batch_size(spec, Bench(32))  # type: ignore[arg-type]
    assert steps_by_batch_size(CompareSpec(), Bench(32)) == {128: 112}  # type: ignore[arg-type]


MOCK = ["compare", "--dataset", "synthetic", "--model", "mlp", "--epochs", "2", "--lr", "0.02,0.1",
        "-s", "constant", "-s", "cosine", "--tuning-seeds", "1", "--threads", "1", "--quiet",
        "--executor", "mock"]  # fmt: skip


def test_no_manifest_and_no_journal_is_read_twice(tmp_path: Path, opens: list[str]) -> None:
    """Neither where a run begins, nor where it grows, nor where it is reported."""
    out = str(tmp_path / "run")
    for argv, journals in (
        ([*MOCK, "--seeds", "1", "--out", out], 0),
        ([*MOCK, "--seeds", "2", "--out", out], 6),
        (["report", out], 8),
    ):
        opens.clear()
        assert run(argv) == 0
        assert sorted(opens) == sorted(set(opens)), argv
        assert sum(path.endswith("journal.jsonl") for path in opens) == journals


def test_the_tables_follow_the_training_at_a_small_share_of_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock by hand: a refresh takes 2 s, a trial 1 s; refreshes may take 5 %."""
    now, refreshed = [0.0], []

    def tick(seconds: float) -> None:
        now[0] += seconds

    def write(*_: Any) -> None:
        refreshed.append(now[0])
        tick(2.0)

    spec = CompareSpec(recipe=Recipe(dataset="synthetic", model="mlp"), lrs=(0.1,), seeds=20)
    kept = Run(tmp_path)
    job = session.prepared(spec, kept, {"executor": "mock", "threads": 1})
    monkeypatch.setattr(session.time, "monotonic", lambda: now[0])
    monkeypatch.setattr("lrbench.report.write_csv.write", write)
    monkeypatch.setattr("lrbench.report.renderers.write_all", lambda *_: [])
    for event in session.carry_out(job):
        tick(len(session.ends_of(event)))
    assert isinstance(event, Summary) and len(event.trials) == 100
    assert refreshed[0] <= 6 and 40 <= refreshed[1] - refreshed[0] <= 44
    assert 2.0 * len(refreshed) <= 0.07 * now[0]


RACE = {"dataset": "synthetic", "model": "mlp", "lr": "0.1", "executor": "mock", "threads": 1,
        "schedule": ["cosine", "step", "linear"], "epochs": 1}  # fmt: skip


def carried(folder: Path, options: dict[str, Any], *, kill_after: int = 10**6) -> Summary | None:
    """The summary of a run, None if it was killed after so many events."""
    kept = Run(folder)
    job = session.prepared(session.resolve(options, kept), kept, options)
    for count, event in enumerate(session.carry_out(job, files=False)):
        if isinstance(event, Summary):
            return event
        if count == kill_after:
            break
    return None


def looked(folder: Path) -> list[int]:
    manifest = Run(folder).manifest
    assert manifest is not None
    return list(manifest["experiment"].get("looked", ()))


def test_a_run_that_grows_after_it_was_compared_remembers_its_looks(tmp_path: Path) -> None:
    for seeds, expected in ((3, []), (3, []), (5, [3]), (5, [3]), (8, [3, 5])):
        assert carried(tmp_path, {**RACE, "seeds": seeds}) is not None
        assert looked(tmp_path) == expected


def test_a_run_that_grows_before_its_end_has_not_been_compared(tmp_path: Path) -> None:
    assert carried(tmp_path, {**RACE, "seeds": 3}, kill_after=4) is None
    assert carried(tmp_path, {**RACE, "seeds": 5}) is not None
    assert looked(tmp_path) == []


def test_a_race_that_is_killed_trains_what_it_would_have(tmp_path: Path) -> None:
    race = {**RACE, "race": True, "most_seeds": 8}
    whole = carried(tmp_path / "whole", race)
    while (again := carried(tmp_path / "killed", race, kill_after=17)) is None:
        pass
    assert whole is not None and again.sentence == whole.sentence
    assert again.trials["trial"].tolist() == whole.trials["trial"].tolist()


def test_a_folder_that_holds_more_schedules_than_were_asked_for_says_so(tmp_path: Path) -> None:
    begun = {**RACE, "seeds": 2}
    carried(tmp_path, begun)
    for names, more in ((RACE["schedule"], ""), (["step"], "also holds cosine, linear")):
        options, kept = {**begun, "schedule": names, "seeds": 3}, Run(tmp_path)
        job = session.prepared(session.resolve(options, kept), kept, options)
        said = " ".join(map(str, job.notices))
        assert more in said and ("--only step" in said) == bool(more)
        assert len(job.plan.trials) == 3  # one seed more of each


@pytest.mark.parametrize(("device", "jobs"), [("auto", 3), ("cuda", 3), ("cuda:1", 1)])
def test_one_trial_at_a_time_on_each_gpu(
    device: str, jobs: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    host = session.settled(Host(device=device, executor="auto"), Run(tmp_path), CompareSpec())
    assert host.jobs == jobs
