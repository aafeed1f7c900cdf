"""Several trials at a time, each in a process of its own that can be ended from outside."""

from __future__ import annotations

import json
import math
import os
import selectors
import socket
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

from lrbench.errors import MachineError
from lrbench.execute import EXECUTORS, Train
from lrbench.execute.serial import serial
from lrbench.execute.trial import failed_end
from lrbench.execute.workbench import Workbench
from lrbench.execute.worker import REQUEST
from lrbench.experiment import TrialSpec
from lrbench.records import Record, TrialEnd
from lrbench.run.journal import record_of
from lrbench.run.material import refuse_changes
from lrbench.run.store import Run
from lrbench.stopping import pausing

RETRIES = 2  # of a trial whose process died, which goes on from its checkpoint; and of a start
POLL_S = 1.0
STOOD_STILL_S = 2.0  # a wait that ends so much too late: the machine was paused, not busy
ANSWER_S = 10.0
Left = tuple[TrialSpec, list[Record]]


class CannotStart(MachineError):
    """No process could open what this one has open."""


@dataclass(eq=False)
class Nursery:
    """The process that forks workers, which it knows by their numbers."""

    process: subprocess.Popen[bytes]
    control: socket.socket
    workers: int = 0

    @property
    def dead(self) -> bool:
        return self.process.poll() is not None

    def ask(self, number: int, *links: int) -> None:
        socket.send_fds(self.control, [REQUEST.pack(number)], links)

    def worker(self) -> Worker:
        ours, theirs = socket.socketpair()
        with theirs, suppress(OSError):  # it is dead, which the first read of the worker shows
            self.ask(0, theirs.fileno())
        self.workers += 1
        return Worker(self, self.workers, ours)


@dataclass(eq=False)
class Worker:
    """A process that trains one trial after the other, and what it is at."""

    nursery: Nursery
    number: int
    link: socket.socket
    trial: TrialSpec | None = None
    deadline: float = math.inf
    ready: bool = False
    ended: bool = False
    torn: bytes = b""

    def give(self, trial: TrialSpec) -> None:
        self.trial, self.deadline, self.ended = trial, math.inf, False
        with suppress(OSError):  # it is dead, which the next read shows
            self.link.sendall(f"{trial.model_dump_json()}\n".encode())

    def messages(self) -> list[dict[str, Any]] | None:
        """What it has said since; None where it has closed its socket."""
        try:
            heard = self.link.recv(2**16)
        except ConnectionResetError:
            heard = b""
        *lines, self.torn = (self.torn + heard).split(b"\n")
        return [json.loads(line) for line in lines] if heard else None

    def end(self, *, at_once: bool = False) -> int:
        """How it ended, or is made to end: what it wrote down is whole, as after any crash."""
        self.link.close()
        answer = b""
        with suppress(OSError):
            self.nursery.ask(-self.number if at_once else self.number)
            answer = self.nursery.control.recv(REQUEST.size)
        if answer:
            return int(REQUEST.unpack(answer)[0])
        self.nursery.process.kill()  # and with it this worker, if they live
        return self.nursery.process.wait()


@dataclass(eq=False)
class Crew:
    """The processes of a run."""

    nursery: Nursery
    workers: list[Worker] = field(default_factory=list)
    false_starts: int = 0


@EXECUTORS.register("auto", "in parallel where that is possible and faster")
@contextmanager
def auto(bench: Workbench, run: Run) -> Iterator[Train]:
    """Where no other process can open what is open here, such as a network that a notebook has
    registered, this one trains, to the same bits."""
    with pool(bench, run) as parallel, serial(bench, run) as alone:

        def train(trials: Sequence[TrialSpec]) -> Iterator[Left]:
            try:
                yield from parallel(trials)
            except CannotStart:
                yield from alone(trials)

        yield train


@EXECUTORS.register("pool", "several trials at a time, in processes of this machine (--jobs)")
@contextmanager
def pool(bench: Workbench, run: Run) -> Iterator[Train]:
    crew = Crew(_begun(bench, run))
    try:
        with pausing(lambda: crew.nursery.process.pid):
            yield partial(_train, bench, run, crew)
    finally:
        _end(crew)


def _begun(bench: Workbench, run: Run) -> Nursery:
    """A new process in its own session: Ctrl-C is for this one alone."""
    host = {**asdict(bench.host), "threads": bench.threads, "device": str(bench.device)}
    about = {
        "recipe": bench.recipe.model_dump(mode="json"),
        "schedules": (run.manifest or {}).get("experiment", {}).get("schedules", ()),
        "host": {**host, "download": False},
        "run": run.path,
        "material": run.material,
    }
    path = os.pathsep.join(folder or os.getcwd() for folder in sys.path)
    # It is to end with this process from its first moment on, before torch is imported.
    first = f"from lrbench.stopping import die_with; die_with({os.getpid()})"
    code = f"{first}; from lrbench.execute.worker import main; main()"
    ours, theirs = socket.socketpair()
    ours.settimeout(ANSWER_S)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", code, json.dumps(about, default=str)],
            stdin=theirs.fileno(), start_new_session=True, env={**os.environ, "PYTHONPATH": path},
        )  # fmt: skip
    return Nursery(process, ours)


def _end(crew: Crew) -> None:
    """End every process, and return when none of them can write any more."""
    for worker in crew.workers:
        with suppress(OSError):
            worker.link.shutdown(socket.SHUT_WR)
    crew.nursery.process.kill()
    crew.nursery.process.wait()
    crew.nursery.control.close()
    for worker in crew.workers:
        worker.link.settimeout(ANSWER_S)
        with worker.link, suppress(OSError):
            while worker.link.recv(2**16):
                pass


def _train(bench: Workbench, run: Run, crew: Crew, trials: Sequence[TrialSpec]) -> Iterator[Left]:
    waiting, deaths = deque(sorted(trials, key=lambda trial: -trial.epochs)), Counter[str]()
    while waiting or any(worker.trial for worker in crew.workers):
        _hand_out(bench, crew, waiting)
        for worker in _speaking(crew.workers):
            messages = worker.messages()
            for message in messages or ():
                yield from _received(bench, run, crew, worker, message)
            if messages is None:
                crew.workers.remove(worker)
                yield from _died(bench, run, crew, worker, waiting, deaths)
        for worker in [w for w in crew.workers if time.monotonic() > w.deadline]:
            crew.workers.remove(worker)
            worker.end(at_once=True)
            reason = f"it did not end within {bench.host.trial_timeout_s:g} s (--trial-timeout)"
            yield from _given_up(bench, run, worker, reason)


def _hand_out(bench: Workbench, crew: Crew, waiting: deque[TrialSpec]) -> None:
    """Give every idle process a trial; begin processes while there are trials for them."""
    for worker in crew.workers:
        if worker.ready and worker.trial is None and waiting:
            worker.give(waiting.popleft())
    begun = sum(worker.trial is None for worker in crew.workers)
    for _ in range(min(bench.host.jobs - len(crew.workers), len(waiting) - begun)):
        crew.workers.append(crew.nursery.worker())


def _speaking(workers: Sequence[Worker]) -> list[Worker]:
    """Those that have something to say, after a moment at most. For as long as this process stood
    still (Ctrl-Z, a paused container) its workers most likely did: no trial is charged for it."""
    began = time.monotonic()
    with selectors.DefaultSelector() as selector:
        for worker in workers:
            selector.register(worker.link, selectors.EVENT_READ, worker)
        ready = selector.select(POLL_S)
    late_s = time.monotonic() - began - POLL_S
    if late_s > STOOD_STILL_S:
        for worker in workers:
            worker.deadline += late_s
    return [key.data for key, _ in ready]


def _received(
    bench: Workbench, run: Run, crew: Crew, worker: Worker, message: dict[str, Any]
) -> Iterator[Left]:
    if "fault" in message:
        lost = MachineError if any(each.ready for each in crew.workers) else CannotStart
        raise lost(message["fault"], hint=message["hint"])
    if "ready" in message:
        refuse_changes(run.manifest or {}, message["ready"]["code"], message["ready"]["data"])
        worker.ready, crew.false_starts = True, 0
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
    bench: Workbench, run: Run, crew: Crew, worker: Worker, waiting: deque[TrialSpec],
    deaths: Counter[str],
) -> Iterator[Left]:  # fmt: skip
    """Its trial goes on from its checkpoint in another process, but not for ever."""
    code = worker.end()
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    first = not worker.nursery.dead or worker.nursery is crew.nursery
    if worker.nursery.dead and worker.nursery is crew.nursery:
        worker.nursery.control.close()
        crew.nursery = _begun(bench, run)
    if not worker.ready:
        crew.false_starts += first
        if crew.false_starts > RETRIES:
            raise MachineError(f"a process for trials ended at its start, again and again ({how})")
    if worker.trial is None or worker.ended:
        return
    deaths[worker.trial.id] += 1
    if deaths[worker.trial.id] <= RETRIES:
        waiting.appendleft(worker.trial)
        return
    yield from _given_up(bench, run, worker, f"its process died {RETRIES + 1} times ({how})")


def _given_up(bench: Workbench, run: Run, worker: Worker, reason: str) -> Iterator[Left]:
    """Write down the end of a trial whose process is dead: nobody else writes its journal now."""
    assert worker.trial is not None
    yield worker.trial, [run.conclude(worker.trial, failed_end(bench, worker.trial, reason))]
    run.state_path(worker.trial.id).unlink(missing_ok=True)
