"""A trial that misbehaves is recorded with its reason; the others do not notice."""

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from lrbench.__main__ import run
from lrbench.run.store import Run
from lrbench.schedules import parse
from tests.reliability.tools import (
    SMALL,
    alive,
    command,
    completed,
    epochs_in,
    finish,
    moody,
    processes,
    start,
    state,
    table,
    timeless,
    wait_for,
)

DIE_ONCE = """
if not pathlib.Path("died").exists():
    pathlib.Path("died").touch()
    os.kill(os.getpid(), 9)
"""
HANG = "pathlib.Path('hangs').touch(); time.sleep(1000)"
DIES = "os.kill(os.getpid(), 9)"
FAILURES = {  # seed by seed: what it does, and the reason that is recorded
    "1": ("raise KeyError('nothing there')", "KeyError: 'nothing there'"),
    "2": (HANG, "it did not end within 3 s (--trial-timeout)"),
    "3": (DIES, "its process died 3 times (signal 9)"),
    "4": ("sys.exit(3)", "SystemExit: 3 (moody.py"),
    "5": ("os._exit(3)", "its process died 3 times (exit code 3)"),
}  # fmt: skip
SLOW = {"any": "time.sleep(0.02)"}
COUNTED = {"any": "open('passes', 'a').write('.')"}
EVERY_EPOCH = "from lrbench.execute import trial; trial.CHECKPOINT_S = -1.0"
DIES_UNSAID = """
from lrbench.execute import trial
from lrbench.run import store
append, save, written = store.Run.append, trial.checkpoint.save, []
def last(*arguments):
    append(*arguments)
    written.append(1)
    if len(written) == {0} and not pathlib.Path("died").exists():
        pathlib.Path("died").touch()
        {1}
store.Run.append = last
"""
SAVES_AND_DIES = f"trial.checkpoint.save = lambda *state: (save(*state), {DIES})"
SIX = ("compare", "--dataset", "synthetic", "--model", "moody", "--epochs", "2", "--lr", "0.1",
       "-s", "constant", "--seeds", "6", "--threads", "1", "--quiet", "--out", "run")  # fmt: skip
APART = ("--trial-timeout", "10m")


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run in which nothing happens, and the plug-in's folder beside it."""
    folder = tmp_path_factory.mktemp("calm")
    completed(*SIX, *APART, cwd=folder, env=moody(folder / "plugins", COUNTED))
    return folder


@pytest.mark.long
def test_failed_trials_are_recorded_the_others_untouched_and_trained_again_on_demand(
    tmp_path: Path, calm: Path
) -> None:
    moods = {"0": DIE_ONCE, **{seed: mood for seed, (mood, _) in FAILURES.items()}}
    argv = (*SIX, "-j", "2", "--trial-timeout", "3s")
    code, _, said = command(*argv, cwd=tmp_path, env=moody(calm / "plugins", moods))
    assert code == 1 and "Traceback" not in said
    assert (tmp_path / "died").exists()
    hung = (tmp_path / "hangs").stat().st_mtime
    rows = {row["seed"]: row for row in table(tmp_path / "run" / "trials.csv")}
    assert rows["0"]["status"] == "done"
    for seed, (_, reason) in FAILURES.items():
        assert rows[seed]["status"] == "failed" and rows[seed]["reason"].startswith(reason)
    journals = {seed: Run(tmp_path / "run").journal_path(rows[seed]["trial"]) for seed in rows}
    assert journals["2"].stat().st_mtime - hung < 3 + 5
    epochs = timeless(calm / "run")["epochs.csv"]
    assert timeless(tmp_path / "run")["epochs.csv"] == [r for r in epochs if r["seed"] == "0"]
    kept = journals["0"].read_bytes()
    completed(*SIX, "--retry-failed", cwd=tmp_path, env=moody(calm / "plugins", {}))
    assert timeless(tmp_path / "run") == timeless(calm / "run")
    assert journals["0"].read_bytes() == kept


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
    "at_import",
    [f"{EVERY_EPOCH}\n{DIES_UNSAID.format(1, SAVES_AND_DIES)}", DIES_UNSAID.format(3, DIES)],
    ids=["after the first epoch and its checkpoint", "after the second and the end, without one"],
)
def test_no_record_is_lost_that_a_worker_wrote_just_before_it_died(
    tmp_path: Path, calm: Path, at_import: str
) -> None:
    """Its trial goes on from there: no step is taken twice."""
    env = moody(calm / "plugins", COUNTED, at_import)
    completed(*SIX, *APART, cwd=tmp_path, env=env)
    assert (tmp_path / "died").exists()
    assert (tmp_path / "passes").read_text() == (calm / "passes").read_text()
    assert timeless(tmp_path / "run") == timeless(calm / "run")


@pytest.mark.long
def test_a_run_that_stood_still_fails_no_trial(tmp_path: Path, calm: Path) -> None:
    """Ctrl-Z, a paused container: a trial is charged for the time that it could have trained."""
    argv = (*SIX, "--seeds", "1", "--epochs", "3", "--trial-timeout", "20s")
    process = start(*argv, cwd=tmp_path, env=moody(calm / "plugins", SLOW))
    wait_for(lambda: epochs_in(tmp_path / "run") >= 1)
    stopped = [process.pid, *processes(tmp_path)]
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
    argv = (*SIX, "-j", "2", "--epochs", "50")
    process = start(*argv, cwd=tmp_path, env=moody(calm / "plugins", SLOW))
    wait_for(lambda: len(processes(tmp_path)) == 2)
    everyone = [process.pid, *processes(tmp_path)]
    for number, states in ((signal.SIGTSTP, "T"), (signal.SIGCONT, "RSD"), (signal.SIGTSTP, "T")):
        process.send_signal(number)
        wait_for(lambda: {state(pid) for pid in everyone} <= {*states}, timeout_s=10)  # noqa: B023
    process.kill()
    assert "Traceback" not in finish(process)[2]
    wait_for(lambda: not any(map(alive, everyone)), timeout_s=5)


def test_a_schedule_that_diverges_ranks_last_and_changes_no_byte_of_the_others(
    tmp_path: Path, capsys: Any
) -> None:
    argv = [*SMALL, "--lr", "0.1", "-s", "linear"]
    bad = "CyclicLR(base_lr=1e9, max_lr=2e9, step_size_up=5)"
    assert run([*argv, "--out", str(tmp_path / "calm")]) == 0
    assert run([*argv, "-s", bad, "--out", str(tmp_path / "run"), "--json"]) == 1
    assert "NaN" not in capsys.readouterr().out
    bad = str(parse(bad))
    calm, found = timeless(tmp_path / "calm"), timeless(tmp_path / "run")
    for name in ("trials.csv", "epochs.csv"):
        assert [row for row in found[name] if row["schedule"] != bad] == calm[name]
    lost = [row for row in found["trials.csv"] if row["schedule"] == bad]
    ends = {(row["status"], row["epochs"], row["test_accuracy"]) for row in lost}
    assert ends == {("diverged", "0", "")}
    assert all(f"not finite at step {row['steps']} " in row["reason"] for row in lost)
    *others, last = found["ranking.csv"]
    assert (last["schedule"], last["failed"], last["metric_mean"]) == (bad, "2", "")
    means = {row["schedule"]: row["metric_mean"] for row in calm["ranking.csv"]}
    assert {row["schedule"]: row["metric_mean"] for row in others} == means
