"""A comparison as a library: its sizes, one reading of the run, tables that follow the training,
warnings before it."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from lrbench.__main__ import run
from lrbench.analysis import Summary
from lrbench.errors import UsageError
from lrbench.execute import Host
from lrbench.inputs import compare_spec
from lrbench.options import CompareSpec, Recipe
from lrbench.run.store import Run
from lrbench.session import compare as session
from lrbench.session.checks import check_schedules, spec_notices
from lrbench.session.size import steps_by_batch_size
from tests.reliability.tools import SMALL


def bench(own: int | None, typed: int = 128) -> Any:
    """A workbench whose task has its own batches, or takes those of the recipe."""
    task = SimpleNamespace(samples_per_step=own or typed)
    steps = 3584 // task.samples_per_step
    return SimpleNamespace(
        tuning_task=task, steps_per_epoch=steps, at=lambda recipe: bench(own, recipe.batch_size)
    )


def test_each_batch_size_has_its_steps_where_the_task_has_no_batches_of_its_own() -> None:
    sizes = CompareSpec(batch_sizes=(64, 128))
    assert steps_by_batch_size(sizes, bench(None)) == {64: 56, 128: 28}
    with pytest.raises(UsageError, match="--batch-size 64,128: this task sets its own"):
        steps_by_batch_size(sizes, bench(32))
    assert steps_by_batch_size(CompareSpec(), bench(32)) == {128: 112}


def test_no_manifest_and_no_journal_is_read_twice(tmp_path: Path, opens: list[str]) -> None:
    """Neither where a run begins, nor where it grows, nor where it is reported."""
    out = str(tmp_path / "run")
    mock = [*SMALL, "--executor", "mock", "--out", out]
    for argv, journals in (([*mock, "--seeds", "1"], 0), (mock, 6), (["report", out], 8)):
        opens.clear()
        assert run(argv) == 0
        assert sorted(opens) == sorted(set(opens)), argv
        assert sum(path.endswith("journal.jsonl") for path in opens) == journals


def test_the_tables_follow_the_training_at_a_small_share_of_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock by hand: a refresh takes 2 s, a trial 1 s; refreshes may take 5 %."""
    now, refreshed = [0.0], []

    def write(*_: Any) -> None:
        refreshed.append(now[0])
        now[0] += 2.0

    spec = CompareSpec(recipe=Recipe(dataset="synthetic", model="mlp"), lrs=(0.1,), seeds=20)
    kept = Run(tmp_path)
    job = session.prepared(spec, kept, {"executor": "mock", "threads": 1})
    monkeypatch.setattr(session.time, "monotonic", lambda: now[0])
    monkeypatch.setattr("lrbench.report.write_csv.write", write)
    monkeypatch.setattr("lrbench.report.renderers.write_all", lambda *_: [])
    for event in session.carry_out(job):
        now[0] += len(session.ends_of(event))
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


@pytest.mark.parametrize(
    ("killed", "looks"),
    [(False, [(3, []), (3, []), (5, [3]), (5, [3]), (8, [3, 5])]), (True, [(5, []), (6, [5])])],
)
def test_a_run_that_grows_after_it_was_compared_remembers_its_looks(
    tmp_path: Path, killed: bool, looks: list[tuple[int, list[int]]]
) -> None:
    """One that was killed before its end has not been compared."""
    assert not killed or carried(tmp_path, {**RACE, "seeds": 3}, kill_after=4) is None
    for seeds, expected in looks:
        assert carried(tmp_path, {**RACE, "seeds": seeds}) is not None
        assert list((Run(tmp_path).manifest or {})["experiment"].get("looked", ())) == expected


def test_a_race_that_is_killed_trains_what_it_would_have(tmp_path: Path) -> None:
    race = {**RACE, "race": True, "most_seeds": 8}
    whole = carried(tmp_path / "whole", race)
    while (again := carried(tmp_path / "killed", race, kill_after=17)) is None:
        pass
    assert whole is not None and again.sentence == whole.sentence
    assert again.trials["trial"].tolist() == whole.trials["trial"].tolist()


def reopened(folder: Path, options: dict[str, Any]) -> tuple[session.Job, str]:
    """The job of a run that is there, and its notices."""
    kept = Run(folder)
    job = session.prepared(session.resolve(options, kept), kept, options)
    return job, " ".join(map(str, job.notices))


def test_a_folder_that_holds_more_than_was_asked_for_says_so(tmp_path: Path) -> None:
    begun = {**RACE, "seeds": 2, "lr": "0.1,0.2"}
    carried(tmp_path, begun)
    for changes, trials, more in (
        ({"seeds": 3}, 3, ""),  # one seed more of each
        ({"seeds": 3, "schedule": ["step"]}, 3, "also holds cosine, linear, trained"),
        ({"seeds": 1, "lr": "0.2"}, 0, "also holds LR 0.1, 2 final seeds"),
    ):
        job, said = reopened(tmp_path, {**begun, **changes})
        assert more in said and ("also holds" in said) == bool(more)
        assert ("--only step" in said) == ("schedule" in changes)
        assert len(job.plan.trials) == trials


def test_a_run_sized_by_a_budget_grows_without_it(tmp_path: Path) -> None:
    begun = {**RACE, "seeds": 2, "time_budget": "10s"}
    carried(tmp_path, begun)
    epochs = (Run(tmp_path).manifest or {})["experiment"]["epochs"]
    job, said = reopened(tmp_path, {**begun, "seeds": 3})
    assert not job.plan.trials
    assert f"keeps its 2 seeds: to add seeds, give --epochs {epochs} instead" in said
    job, said = reopened(tmp_path, {**RACE, "seeds": 3, "epochs": epochs})
    assert len(job.plan.trials) == 3 and "keeps its" not in said


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"time_budget": "1h"}, "to fill --time-budget, this trains with --epochs "),
        ({"lr_points": 5, "range_test": "points=50"}, "no effect, as --lr names the LRs"),
        ({"lr_points": 3}, ""),
        ({"lr": "auto", "lr_points": 5}, ""),
    ],
)
def test_options_that_change_nothing_or_are_overridden_are_named(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    _, said = reopened(tmp_path, {**RACE, **changes})
    assert words in said and ("no effect" in said or "to fill" in said) == bool(words)


@pytest.mark.parametrize(("device", "jobs"), [("auto", 3), ("cuda", 3), ("cuda:1", 1)])
def test_one_trial_at_a_time_on_each_gpu(
    device: str, jobs: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    host = session.settled(Host(device=device, executor="auto"), Run(tmp_path), CompareSpec())
    assert host.jobs == jobs


@pytest.mark.parametrize(
    ("steps", "of_arm", "words"),
    [(4, 5, "a trial has 8 steps"), (5, 4, "a trial of big has 8 steps"), (5, 5, "")],
)
def test_trainings_of_a_handful_of_steps_are_warned_of_before_they_start(
    steps: int, of_arm: int, words: str
) -> None:
    spec = compare_spec({"arm": ["big: batch_size=512"], "epochs": 2})
    notices = check_schedules(spec, {spec.recipe.batch_size: steps, 512: of_arm})
    said = [str(notice) for notice in notices if "so few" in str(notice)]
    assert len(said) == bool(words) and all(words in text for text in said)


@pytest.mark.parametrize(("lr", "warned"), [("auto", False), ("0.05,0.1", True)])
def test_an_optimizer_at_the_lrs_of_another_is_named(lr: str, warned: bool) -> None:
    spec = compare_spec({"arm": ["adamw: optimizer=adamw", "nesterov: nesterov=true"], "lr": lr})
    said = [str(notice) for notice in spec_notices(spec, {})]
    named = [text for text in said if text.startswith("adamw: another optimizer, tried at the LRs")]
    assert len(named) == warned
