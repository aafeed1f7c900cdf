"""Interleaved rounds: every contender waits in processes of its own until it is its turn."""

from __future__ import annotations

import math
import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

from lrbench.bench.figures import Round
from lrbench.bench.plan import Contender, Workload
from lrbench.bench.worker import serve
from lrbench.engine.waiting import waiting_as_found
from lrbench.errors import MachineError

START_S = 600.0
Say = Callable[[str], None]


@dataclass
class Entrant:
    """A contender with its processes, what getting ready took, and its rounds so far."""

    contender: Contender
    pipes: list[Connection]
    ready: dict[str, float] = field(default_factory=dict)
    rounds: list[Round] = field(default_factory=list)
    fault: str = ""

    @property
    def name(self) -> str:
        return self.contender.name

    def go(self, epochs: int) -> Round:
        """One round of all copies, side by side.

        Raises:
            MachineError: a process has died.
        """
        began = time.perf_counter()
        for pipe in self.pipes:
            pipe.send(epochs)
        parts = [self._answer(pipe) for pipe in self.pipes]
        wall_s = time.perf_counter() - began if len(parts) > 1 else parts[0].wall_s
        spent = [part.cpu_s for part in parts if part.cpu_s is not None]
        return Round(
            wall_s, sum(spent) if len(spent) == len(parts) else None, sum(p.images for p in parts)
        )

    def _answer(self, pipe: Connection) -> Round:
        found = receive(pipe, self.name)
        if not isinstance(found, Round):
            raise MachineError(f"bench: {self.name}: {found}")
        return found


def receive(pipe: Connection, name: str) -> object:
    try:
        if not pipe.poll(START_S):
            raise MachineError(f"bench: {name}: no answer within {START_S:.0f} s")
        return pipe.recv()
    except (EOFError, OSError):
        raise MachineError(f"bench: {name}: its process died") from None


@contextmanager
def entered(work: Workload, contenders: Sequence[Contender], say: Say) -> Iterator[list[Entrant]]:
    """The contenders, started one after the other and warmed up; all are gone at the end."""
    users_way, context = multiprocessing.get_start_method(), multiprocessing.get_context("spawn")
    processes = []
    entrants: list[Entrant] = []
    try:
        for contender in contenders:
            entrant = Entrant(contender, [], fault=contender.why_not)
            entrants.append(entrant)
            if entrant.fault:
                continue
            for _ in range(contender.copies):
                ours, theirs = context.Pipe()
                process = context.Process(target=serve, args=(theirs, work, contender, users_way))
                with nullcontext() if contender.loop == "engine" else waiting_as_found():
                    process.start()
                theirs.close()
                processes.append(process)
                entrant.pipes.append(ours)
            for pipe in entrant.pipes:
                answer = receive(pipe, contender.name)
                if isinstance(answer, dict):
                    entrant.ready = answer
                else:
                    entrant.fault = str(answer)
            say(f"{contender.name}: {entrant.fault or 'ready'}")
        yield entrants
    finally:
        for pipe in (pipe for entrant in entrants for pipe in entrant.pipes):
            dismiss(pipe)
        for process in processes:
            process.join(10)
            if process.is_alive():
                process.terminate()


def dismiss(pipe: Connection) -> None:
    try:
        pipe.send(None)
    except OSError:
        return  # it is gone already


def interleaved(entrants: Sequence[Entrant], rounds: int, round_s: float, say: Say) -> int:
    """Let everyone train once in each round; the epochs of a round, the same for all, are as
    many as the first one needs to fill `round_s`. Who fails is left out from then on."""
    able = [entrant for entrant in entrants if not entrant.fault]
    once = able[0].go(1)
    epochs = max(1, math.ceil(round_s / once.wall_s))
    for number in range(rounds):
        for entrant in [each for each in able if not each.fault]:
            try:
                entrant.rounds.append(entrant.go(epochs))
            except MachineError as fault:  # memory of the device that others took meanwhile
                entrant.fault, entrant.rounds = fault.message, []
                say(entrant.fault)
                continue
            say(
                f"round {number + 1} of {rounds}, {entrant.name}: "
                f"{entrant.rounds[-1].images_s:,.0f} img/s"
            )
    return epochs
