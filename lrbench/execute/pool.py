"""Several trials at a time, each in a process of its own that can be ended from outside."""

from __future__ import annotations

import json
import math
import os
import selectors
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from lrbench.errors import MachineError
from lrbench.execute import EXECUTORS
from lrbench.execute.trial import failed_end
from lrbench.execute.workbench import Workbench
from lrbench.experiment import TrialSpec
from lrbench.records import Record, TrialEnd
from lrbench.run.journal import record_of
from lrbench.run.store import Run

RETRIES = 2  # of a trial whose process died; it goes on from its checkpoint
POLL_S = 1.0
STOOD_STILL_S = 2.0  # a wait that ends so much too late: the machine was paused, not busy
Left = tuple[TrialSpec, list[Record]]


@dataclass
class Worker:
    """A process that trains one trial after the other, and what it is at."""

    process: subprocess.Popen[bytes]
    trial: TrialSpec | None = None
    deadline: float = math.inf
    ready: bool = False
    ended: bool = False
    torn: bytes = b""

    def give(self, trial: TrialSpec) -> None:
        self.trial, self.deadline, self.ended = trial, math.inf, False
        self.send(trial.model_dump_json())

    def send(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n".encode())
        self.process.stdin.flush()

    def messages(self) -> list[dict[str, Any]]:
        """What it has said since; nothing where it has closed its pipe."""
        assert self.process.stdout is not None
        *lines, self.torn = (self.torn + os.read(self.process.stdout.fileno(), 2**16)).split(b"\n")
        return [json.loads(line) for line in lines]

    def end(self) -> int:
        """Kill it: what it wrote down is whole, as after any other crash."""
        self.process.kill()
        code = self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()
        return code


@EXECUTORS.register("pool", "several trials at a time, in processes of this machine (--jobs)")
def pool(bench: Workbench, run: Run, trials: Sequence[TrialSpec]) -> Iterator[Left]:
    waiting, deaths = deque(trials), Counter[str]()
    workers: list[Worker] = []
    try:
        while waiting or any(worker.trial for worker in workers):
            _hand_out(bench, run, waiting, workers)
            for worker in _speaking(workers):
                messages = worker.messages()
                for message in messages:
                    yield from _received(bench, worker, message)
                if not messages and not worker.torn:
                    yield from _died(bench, run, worker, waiting, deaths)
                    workers.remove(worker)
            for worker in [w for w in workers if time.monotonic() > w.deadline]:
                worker.end()
                workers.remove(worker)
                reason = f"it did not end within {bench.host.trial_timeout_s:g} s (--trial-timeout)"
                yield from _given_up(bench, run, worker, reason)
    finally:
        for worker in workers:
            worker.end()


def _hand_out(bench: Workbench, run: Run, waiting: deque[TrialSpec], workers: list[Worker]) -> None:
    """Give every idle process a trial; begin processes while there are trials for them."""
    for worker in workers:
        if worker.trial is None and waiting:
            _give(worker, waiting)
    while waiting and len(workers) < bench.host.jobs:
        workers.append(_begun(bench, run))
        _give(workers[-1], waiting)


def _give(worker: Worker, waiting: deque[TrialSpec]) -> None:
    trial = waiting.popleft()
    with suppress(BrokenPipeError):  # it is dead, which the next read shows
        worker.give(trial)


def _begun(bench: Workbench, run: Run) -> Worker:
    """A new process with the threads of one trial, in its own session: Ctrl-C is for this process
    alone."""
    path = os.pathsep.join(folder or os.getcwd() for folder in sys.path)
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "lrbench.execute.worker"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
        env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    host = {**asdict(bench.host), "threads": bench.threads, "download": False}
    about = {
        "recipe": bench.recipe.model_dump(mode="json"),
        "host": host,
        "run": run.path,
        "material": run.material,
    }
    worker = Worker(process)
    worker.send(json.dumps(about, default=str))
    return worker


def _speaking(workers: Sequence[Worker]) -> list[Worker]:
    """Those that have something to say, after a moment at most. For as long as this process stood
    still (Ctrl-Z, a paused container) its workers most likely did: no trial is charged for it."""
    began = time.monotonic()
    with selectors.DefaultSelector() as selector:
        for worker in workers:
            assert worker.process.stdout is not None
            selector.register(worker.process.stdout, selectors.EVENT_READ, worker)
        ready = selector.select(POLL_S)
    late_s = time.monotonic() - began - POLL_S
    if late_s > STOOD_STILL_S:
        for worker in workers:
            worker.deadline += late_s
    return [key.data for key, _ in ready]


def _received(bench: Workbench, worker: Worker, message: dict[str, Any]) -> Iterator[Left]:
    if "fault" in message:
        raise MachineError(message["fault"], hint=message["hint"])
    if "ready" in message:
        worker.ready = True
        return
    trial = worker.trial
    assert trial is not None
    if message["records"] is None:
        worker.trial, worker.deadline = None, math.inf
        return
    if not message["records"]:
        worker.deadline = time.monotonic() + (bench.host.trial_timeout_s or math.inf)
    records = [record_of(row) for row in message["records"]]
    worker.ended = any(isinstance(record, TrialEnd) for record in records)
    yield trial, records


def _died(
    bench: Workbench, run: Run, worker: Worker, waiting: deque[TrialSpec], deaths: Counter[str]
) -> Iterator[Left]:
    """Its trial goes on from its checkpoint in another process, but not for ever."""
    code = worker.end()
    if not worker.ready:
        raise MachineError(f"a process for trials ended at its start (exit code {code})")
    if worker.trial is None or worker.ended:
        return
    deaths[worker.trial.id] += 1
    if deaths[worker.trial.id] <= RETRIES:
        waiting.appendleft(worker.trial)
        return
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    yield from _given_up(bench, run, worker, f"its process died {RETRIES + 1} times ({how})")


def _given_up(bench: Workbench, run: Run, worker: Worker, reason: str) -> Iterator[Left]:
    """Write down the end of a trial whose process is dead: nobody else writes its journal now."""
    assert worker.trial is not None
    yield worker.trial, [run.conclude(worker.trial, failed_end(bench, worker.trial, reason))]
    run.state_path(worker.trial.id).unlink(missing_ok=True)
