"""A trial that misbehaves is recorded with its reason; the others do not notice."""

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from lrbench.__main__ import run
from lrbench.schedules import parse
from tests.reliability.tools import (
    SMALL,
    alive,
    command,
    environment,
    finish,
    plugin,
    start,
    state,
    table,
    timeless,
    wait_for,
)

MOODY = """
import os, pathlib, time
import torch
from torch import nn
from lrbench.models import MODELS

@MODELS.register("moody", "does what $MOODS says of its seed")
def moody(image_shape, classes):
    size = image_shape[0] * image_shape[1] * image_shape[2]
    moods = dict(pair.split(":") for pair in os.environ.get("MOODS", "").split() if pair)
    mood = moods.get(str(torch.initial_seed()), "")
    class Moody(nn.Sequential):
        def forward(self, x):
            pathlib.Path(f"process-{os.getpid()}").touch()
            if mood == "raise":
                raise KeyError("nothing there")
            if mood == "memory":
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
            if mood == "hang":
                pathlib.Path("hangs").touch()
                time.sleep(1000)
            if mood == "slow":
                time.sleep(0.02)
            if mood == "die" or mood == "die-once" and not pathlib.Path("died").exists():
                pathlib.Path("died").touch()
                os.kill(os.getpid(), 9)
            return super().forward(x)
    return Moody(nn.Flatten(), nn.Linear(size, classes))

if os.environ.get("EVERY_EPOCH"):
    from lrbench.execute import trial
    trial.CHECKPOINT_S = -1.0

if wanted := os.environ.get("DIES_UNSAID"):  # after so many records, before it can say so
    from lrbench.run import store
    append, written = store.Run.append, []
    def last(*arguments):
        append(*arguments)
        written.append(1)
        if len(written) == int(wanted) and not pathlib.Path("died").exists():
            pathlib.Path("died").touch()
            if os.environ.get("EVERY_EPOCH"):
                store.Run.append = append
                from lrbench.execute import trial
                save = trial.checkpoint.save
                trial.checkpoint.save = lambda *state: (save(*state), os.kill(os.getpid(), 9))
            else:
                os.kill(os.getpid(), 9)
    store.Run.append = last
"""
FIVE = ("compare", "--dataset", "synthetic", "--model", "moody", "--epochs", "2", "--lr", "0.1",
        "-s", "constant", "--seeds", "5", "--threads", "1", "--quiet", "--out", "run")  # fmt: skip
MOODS = "0:die-once 1:raise 2:memory 3:hang 4:die"
REASONS = {
    "1": "KeyError: 'nothing there'",
    "2": "OutOfMemoryError: CUDA out of memory",
    "3": "it did not end within 3 s (--trial-timeout)",
    "4": "its process died 3 times (signal 9)",
}
TIMEOUT_S = 3.0


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run in which nothing happens, and the plug-in's folder beside it."""
    folder = tmp_path_factory.mktemp("calm")
    env = environment(plugin(folder / "plugins", "moody", MOODY))
    code, _, said = command(*FIVE, cwd=folder, env=env)
    assert code == 0, said
    return folder


def test_failed_trials_are_recorded_the_others_untouched_and_trained_again_on_demand(
    tmp_path: Path, calm: Path
) -> None:
    env = environment(calm / "plugins", MOODS=MOODS)
    code, _, said = command(
        *FIVE, "-j", "2", "--trial-timeout", f"{TIMEOUT_S:g}s", cwd=tmp_path, env=env
    )
    assert code == 1 and "Traceback" not in said
    assert (tmp_path / "died").exists()
    hung = (tmp_path / "hangs").stat().st_mtime
    rows = {row["seed"]: row for row in table(tmp_path / "run" / "trials.csv")}
    assert rows["0"]["status"] == "done"
    for seed, reason in REASONS.items():
        assert rows[seed]["status"] == "failed" and rows[seed]["reason"].startswith(reason)
    written = tmp_path / "run" / "trials" / rows["3"]["trial"] / "journal.jsonl"
    assert written.stat().st_mtime - hung < TIMEOUT_S + 5
    epochs = timeless(calm / "run")["epochs.csv"]
    assert timeless(tmp_path / "run")["epochs.csv"] == [r for r in epochs if r["seed"] == "0"]
    kept = (tmp_path / "run" / "trials" / rows["0"]["trial"] / "journal.jsonl").read_bytes()

    env = environment(calm / "plugins")
    code, _, said = command(*FIVE, "--retry-failed", cwd=tmp_path, env=env)
    assert code == 0, said
    assert timeless(tmp_path / "run") == timeless(calm / "run")
    journal = tmp_path / "run" / "trials" / rows["0"]["trial"] / "journal.jsonl"
    assert journal.read_bytes() == kept


def test_too_many_failures_stop_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    from lrbench.execute import trial

    def broken(*_: Any, **__: Any) -> Any:
        raise KeyError("nothing there")

    monkeypatch.setattr(trial, "train", broken)
    assert run([*SMALL, "--max-failures", "2", "--out", str(tmp_path)]) == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert "stopped after 2 failed trials (--max-failures); the last: KeyError" in line
    assert "--retry-failed" in line
    assert len(list(tmp_path.glob("trials/*/journal.jsonl"))) == 2


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGINT, 130),
        pytest.param(signal.SIGKILL, -9, marks=pytest.mark.long),
        pytest.param(signal.SIGTERM, 143, marks=pytest.mark.soak),
    ],
)
def test_no_process_is_left_behind(tmp_path: Path, calm: Path, number: int, code: int) -> None:
    env = environment(calm / "plugins", MOODS="0:hang 1:hang")
    process = start(*FIVE, "-j", "2", cwd=tmp_path, env=env)
    wait_for(lambda: len(list(tmp_path.glob("process-*"))) == 2)
    children = [int(path.name.partition("-")[2]) for path in tmp_path.glob("process-*")]
    assert process.pid not in children
    process.send_signal(number)
    began = time.monotonic()
    found, _, said = finish(process, 20)
    assert found == code and time.monotonic() - began < 4.5
    assert number == signal.SIGKILL or "lrbench compare --resume run" in said
    wait_for(lambda: not any(alive(child) for child in children), timeout_s=5)


LONG = ("compare", "--dataset", "synthetic", "--model", "moody", "--epochs", "8", "--lr", "0.1",
        "-s", "constant", "--seeds", "1", "--threads", "1", "--quiet", "--out", "run")  # fmt: skip


@pytest.mark.parametrize("epoch", ["1", "2"])
def test_no_record_is_lost_that_a_worker_wrote_just_before_it_died(
    tmp_path: Path, calm: Path, epoch: str
) -> None:
    """After the first epoch and its checkpoint; after the second, and the end, without one."""
    every = {"EVERY_EPOCH": "yes"} if epoch == "1" else {}
    env = environment(calm / "plugins", DIES_UNSAID=epoch if every else "3", **every)
    argv = [*FIVE, "--trial-timeout", "10m"]
    code, _, said = command(*argv, cwd=tmp_path, env=env)
    assert code == 0, said
    assert (tmp_path / "died").exists()
    assert timeless(tmp_path / "run") == timeless(calm / "run")


@pytest.mark.long
def test_a_killed_worker_is_replaced_and_its_trial_goes_on_from_its_checkpoint(
    tmp_path: Path, calm: Path
) -> None:
    """kill -9 of the worker, from outside, once some epochs are behind it."""
    env = environment(calm / "plugins", MOODS="0:slow", EVERY_EPOCH="yes")
    process = start(*LONG, "--trial-timeout", "10m", cwd=tmp_path, env=env)
    wait_for(lambda: epochs_in(tmp_path) >= 3)
    (worker,) = workers_in(tmp_path)
    assert worker != process.pid
    os.kill(worker, signal.SIGKILL)
    behind = epochs_in(tmp_path)
    least = []

    def watched() -> bool:
        least.append(epochs_in(tmp_path))
        return process.poll() is not None

    wait_for(watched)
    code, _, said = finish(process)
    assert code == 0, said
    assert len(workers_in(tmp_path)) == 2
    assert min(least) >= behind - 1, "it was begun anew"
    code, _, said = command(*LONG[:-1], "whole", cwd=tmp_path, env=environment(calm / "plugins"))
    assert code == 0, said
    assert timeless(tmp_path / "run") == timeless(tmp_path / "whole")


@pytest.mark.long
def test_a_run_that_stood_still_fails_no_trial(tmp_path: Path, calm: Path) -> None:
    """Ctrl-Z, a paused container: a trial is charged for the time that it could have trained."""
    env = environment(calm / "plugins", MOODS="0:slow")
    argv = [*LONG, "--epochs", "3", "--trial-timeout", "20s"]
    process = start(*argv, cwd=tmp_path, env=env)
    wait_for(lambda: epochs_in(tmp_path) >= 1)
    stopped = [process.pid, *workers_in(tmp_path)]
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(21)
    for pid in reversed(stopped):
        os.kill(pid, signal.SIGCONT)
    code, _, said = finish(process)
    assert code == 0, said
    assert [row["status"] for row in table(tmp_path / "run" / "trials.csv")] == ["done"]


@pytest.mark.long
def test_ctrl_z_stops_the_workers_too_and_a_kill_leaves_none(tmp_path: Path, calm: Path) -> None:
    env = environment(calm / "plugins", MOODS="0:slow 1:slow")
    process = start(*FIVE, "-j", "2", "--epochs", "50", cwd=tmp_path, env=env)
    wait_for(lambda: len(workers_in(tmp_path)) == 2)
    everyone = [process.pid, *workers_in(tmp_path)]
    for number, states in ((signal.SIGTSTP, "T"), (signal.SIGCONT, "RSD"), (signal.SIGTSTP, "T")):
        process.send_signal(number)
        wait_for(lambda: {state(pid) for pid in everyone} <= {*states}, timeout_s=10)  # noqa: B023
    process.kill()
    assert "Traceback" not in finish(process)[2]
    wait_for(lambda: not any(map(alive, everyone)), timeout_s=5)


def epochs_in(folder: Path) -> int:
    """How many epochs the one journal of a run holds."""
    found = [path.read_bytes() for path in folder.glob("run/trials/*/journal.jsonl")]
    return sum(text.count(b'"kind":"epoch"') for text in found)


def workers_in(folder: Path) -> list[int]:
    return [int(path.name.partition("-")[2]) for path in folder.glob("process-*")]


GOOD = ("constant", "cosine", "linear")


def test_a_schedule_that_diverges_ranks_last_and_changes_no_byte_of_the_others(
    tmp_path: Path, capsys: Any
) -> None:
    argv = ["compare", "--dataset", "synthetic", "--model", "mlp", "--epochs", "2", "--lr", "0.1",
            "--seeds", "2", "--threads", "1", "--quiet"]  # fmt: skip
    argv += [word for name in GOOD for word in ("-s", name)]
    bad = "CyclicLR(base_lr=1e9, max_lr=2e9, step_size_up=5)"
    assert run([*argv, "--out", str(tmp_path / "calm")]) == 0
    assert run([*argv, "-s", bad, "--out", str(tmp_path / "run"), "--json"]) == 1
    assert "NaN" not in capsys.readouterr().out
    bad = str(parse(bad))
    calm, found = timeless(tmp_path / "calm"), timeless(tmp_path / "run")
    for name in ("trials.csv", "epochs.csv"):
        assert [row for row in found[name] if row["schedule"] != bad] == calm[name]
    lost = [row for row in found["trials.csv"] if row["schedule"] == bad]
    assert {(row["status"], row["epochs"], row["test_accuracy"]) for row in lost} == {
        ("diverged", "0", "")
    }
    assert all(f"not finite at step {row['steps']} " in row["reason"] for row in lost)
    last = found["ranking.csv"][-1]
    assert (last["schedule"], last["failed"], last["metric_mean"]) == (bad, "2", "")
    means = {row["schedule"]: row["metric_mean"] for row in calm["ranking.csv"]}
    assert {r["schedule"]: r["metric_mean"] for r in found["ranking.csv"][:-1]} == means
