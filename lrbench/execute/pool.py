"""Several trials at a time, each in its own process, which can be killed."""

import json
import os
import selectors
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count

from lrbench.execute import EXECUTORS, Train, Work
from lrbench.execute.serial import serial
from lrbench.execute.supervise import POLL_S, CannotStart, Crew, Left, Message, Worker
from lrbench.execute.workbench import Workbench
from lrbench.execute.worker import ANSWER, REQUEST, Brief
from lrbench.run.store import Run
from lrbench.stopping import pausing

ANSWER_S = 10.0


class Nursery:
    """The process that forks workers and knows them by number. It has its own session, so that
    Ctrl-C reaches only its parent."""

    def __init__(self, brief: Brief) -> None:
        path = os.pathsep.join(folder or os.getcwd() for folder in sys.path)
        # It must end with this process from the very start, before torch is imported.
        first = f"from lrbench.stopping import die_with; die_with({os.getpid()})"
        code = f"{first}; from lrbench.execute.worker import main; main()"
        self.workers = 0
        self.control, theirs = socket.socketpair()
        self.control.settimeout(ANSWER_S)
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-c", code, brief.model_dump_json()],
                stdin=theirs.fileno(), start_new_session=True,
                env={**os.environ, "PYTHONPATH": path},
            )  # fmt: skip

    @property
    def dead(self) -> bool:
        return self.process.poll() is not None

    def ask(self, number: int, place: int = 0, *links: int) -> None:
        socket.send_fds(self.control, [REQUEST.pack(number, place)], links)

    def worker(self, place: int) -> "Forked":
        ours, theirs = socket.socketpair()
        with theirs, suppress(OSError):  # dead, as the worker's first read will show
            self.ask(0, place, theirs.fileno())
        self.workers += 1
        return Forked(self, self.workers, place, ours)

    def end(self) -> int:
        """End it and its workers; returns its exit code."""
        self.process.kill()
        code = self.process.wait()
        self.control.close()
        return code


@dataclass(eq=False)
class Forked(Worker):
    """A local process, forked by the nursery."""

    nursery: Nursery
    number: int
    place: int
    link: socket.socket
    torn: bytes = b""

    def messages(self) -> list[Message] | None:
        try:
            heard = self.link.recv(2**16)
        except ConnectionResetError:
            heard = b""
        *lines, self.torn = (self.torn + heard).split(b"\n")
        return [json.loads(line) for line in lines] if heard else None

    def end(self, *, at_once: bool) -> int:
        """End it; returns its exit code. Its journal is valid, as after any crash."""
        self.link.close()
        with suppress(OSError):
            self.nursery.ask(-self.number if at_once else self.number)
            if answer := self.nursery.control.recv(ANSWER.size):
                return int(ANSWER.unpack(answer)[0])
        return self.nursery.end()


class Processes(Crew):
    """The processes of a run. They write the journals of their trials themselves."""

    def __enter__(self) -> "Processes":
        self.nursery = Nursery(Brief.of(self.bench, self.run))
        return self

    def __exit__(self, *_: object) -> None:
        """End every process; returns once none of them can write any more."""
        for worker in self.workers:
            with suppress(OSError):
                worker.link.shutdown(socket.SHUT_WR)
        self.nursery.end()
        for worker in self.workers:
            worker.link.settimeout(ANSWER_S)
            with worker.link, suppress(OSError):
                while worker.link.recv(2**16):
                    pass

    def hire(self) -> Worker:
        taken = {worker.place for worker in self.workers}
        return self.nursery.worker(next(place for place in count() if place not in taken))

    def give(self, worker: Forked, trial: Work) -> None:
        with suppress(OSError):  # dead, as the next read will show
            worker.link.sendall(f"{trial.model_dump_json()}\n".encode())

    def heard(self) -> Sequence[tuple[Worker, Sequence[Message] | None]]:
        with selectors.DefaultSelector() as selector:
            for worker in self.workers:
                selector.register(worker.link, selectors.EVENT_READ, worker)
            return [(key.data, key.data.messages()) for key, _ in selector.select(POLL_S)]

    def bury(self, worker: Forked, *, at_once: bool = False) -> str:
        """The death of the forking process counts as one false start, however many workers die with
        it."""
        code = worker.end(at_once=at_once)
        dead, newest = worker.nursery.dead, worker.nursery is self.nursery
        self.false_starts += not worker.ready and (newest or not dead)
        if dead and newest:
            self.nursery = Nursery(Brief.of(self.bench, self.run))
        return f"signal {-code}" if code < 0 else f"exit code {code}"

    def write(self, *_: object) -> None:
        """Nothing to do: the worker writes its own records."""


@EXECUTORS.register("auto", "in parallel where that is possible and faster")
@contextmanager
def auto(bench: Workbench, run: Run) -> Iterator[Train]:
    """Trains in this process, with bit-identical results, if no other can open the workbench, as
    with a network registered in a notebook."""
    with pool(bench, run) as parallel, serial(bench, run) as alone:

        def train(trials: Sequence[Work]) -> Iterator[Left]:
            try:
                yield from parallel(trials)
            except CannotStart:
                yield from alone(trials)

        yield train


@EXECUTORS.register("pool", "several trials at a time, in processes on this machine (--jobs)")
@contextmanager
def pool(bench: Workbench, run: Run) -> Iterator[Train]:
    crew = Processes(bench, run, bench.jobs)
    with crew, pausing(lambda: crew.nursery.process.pid):
        yield crew.train
