"""Hands out trials to workers, which may die: local processes or trainers on nodes."""

import math
import time
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lrbench.errors import LrbenchError, MachineError, UsageError
from lrbench.execute import Work
from lrbench.execute.workbench import Workbench
from lrbench.options import TrialSpec
from lrbench.rangetest.training import Piece
from lrbench.records import Record, TrialEnd
from lrbench.run import conditions
from lrbench.run.journal import record_of
from lrbench.run.material import refuse_changes
from lrbench.run.store import Run

RETRIES = 2  # of a trial whose worker died, from its checkpoint; also of a failed start
POLL_S = 1.0
STOOD_STILL_S = 2.0  # a wait that ends this late means a paused machine, not a busy one
Left = tuple[Any, list[Any]]
Message = Mapping[str, Any]  # as in `worker`


class CannotStart(MachineError):
    """No other process could open the workbench."""


@dataclass(eq=False)
class Worker:
    """A process that trains one trial after another, and its current work."""

    trial: Work | None = field(default=None, init=False)
    deadline: float = field(default=math.inf, init=False)
    ready: bool = field(default=False, init=False)
    ended: bool = field(default=False, init=False)


@dataclass(eq=False)
class Crew(ABC):
    """The workers of a run."""

    bench: Workbench
    run: Run
    most: int
    workers: list[Any] = field(default_factory=list, init=False)
    false_starts: int = field(default=0, init=False)

    @abstractmethod
    def hire(self) -> Worker: ...

    @abstractmethod
    def give(self, worker: Any, trial: Work) -> None:
        """Send a worker its next trial, if it is alive."""

    @abstractmethod
    def heard(self) -> Sequence[tuple[Worker, Sequence[Message] | None]]:
        """New messages of workers, after at most `POLL_S`; None for a dead worker."""

    @abstractmethod
    def bury(self, worker: Any, *, at_once: bool = False) -> str:
        """End a worker if it is alive, and return how it ended; from then on, none of its records
        are written. Counts false starts."""

    @abstractmethod
    def write(self, worker: Any, message: Message, records: Sequence[Record]) -> None:
        """Write records to the journal, unless the worker does so itself."""

    def train(self, trials: Sequence[Work]) -> Iterator[Left]:
        """Train the longest trials first, those of one recipe together. Workers still busy with an
        earlier call are ended."""
        for worker in [each for each in self.workers if each.trial]:
            self._end(worker, at_once=True)
        waiting, deaths = deque(sorted(trials, key=_longest_first)), Counter[str]()
        free: Sequence[Worker] = self.workers
        while waiting or any(worker.trial for worker in self.workers):
            self._hand_out(free, waiting)
            heard = self._heard()
            free = [worker for worker, _ in heard]
            for worker, messages in heard:
                for message in messages or ():
                    yield from self._received(worker, message)
                if messages is None:
                    yield from self._died(worker, waiting, deaths)
                    free = self.workers
            if limit_s := self.bench.host.trial_timeout_s:
                yield from self._timed_out(limit_s)

    def _end(self, worker: Worker, *, at_once: bool = False) -> str:
        self.workers.remove(worker)
        return self.bury(worker, at_once=at_once)

    def _hand_out(self, free: Sequence[Worker], waiting: deque[Work]) -> None:
        """Give each idle worker in `free` a trial; start workers while there are trials for them.
        Runs after every message, so it must not cost more with more workers."""
        for worker in free:
            if worker.ready and worker.trial is None and waiting:
                worker.trial, worker.deadline, worker.ended = waiting.popleft(), math.inf, False
                self.give(worker, worker.trial)
        vacant = self.most - len(self.workers) if waiting else 0
        if vacant > 0:
            begun = sum(worker.trial is None for worker in self.workers)
            for _ in range(min(vacant, len(waiting) - begun)):
                self.workers.append(self.hire())

    def _heard(self) -> Sequence[tuple[Worker, Sequence[Message] | None]]:
        """If this process was paused (Ctrl-Z, a paused container), its workers most likely were
        too, so the pause does not count towards any trial's timeout."""
        began = time.monotonic()
        found = self.heard()
        late_s = time.monotonic() - began - POLL_S
        if late_s > STOOD_STILL_S:
            for worker in self.workers:
                worker.deadline += late_s
        return found

    def _timed_out(self, limit_s: float) -> Iterator[Left]:
        now = time.monotonic()
        for worker in [each for each in self.workers if now > each.deadline]:
            self._end(worker, at_once=True)
            reason = f"it did not end within {limit_s:g} s (--trial-timeout)"
            yield from self._given_up(worker, reason)

    def _received(self, worker: Worker, message: Message) -> Iterator[Left]:
        trial = worker.trial
        if "fault" in message:
            lost: type[LrbenchError] = CannotStart
            if any(each.ready for each in self.workers):
                lost = UsageError if isinstance(trial, Piece) else MachineError
            raise lost(message["fault"], hint=message["hint"])
        if "ready" in message:
            self._check(message["ready"])
            worker.ready, self.false_starts = True, 0
        elif message["records"] is None:
            worker.trial, worker.deadline = None, math.inf
        elif not isinstance(trial, TrialSpec):
            yield trial, message["records"]
        else:
            if not message["records"]:
                worker.deadline = time.monotonic() + (self.bench.host.trial_timeout_s or math.inf)
            records = [record_of(row) for row in message["records"]]
            self.write(worker, message, records)
            worker.ended = any(isinstance(record, TrialEnd) for record in records)
            yield trial, records

    def _check(self, ready: Message) -> None:
        """Refuse a worker with other code, data or conditions than this process."""
        refuse_changes(self.run.manifest or {}, ready["code"], ready["data"])
        if other := conditions.differences(self.bench.machine, ready["machine"]):
            raise MachineError(f"a worker would train under other conditions: {', '.join(other)}")

    def _died(self, worker: Worker, waiting: deque[Work], deaths: Counter[str]) -> Iterator[Left]:
        """Its trial continues elsewhere from its checkpoint, at most `RETRIES` times."""
        how = self._end(worker)
        if self.false_starts > RETRIES:
            raise MachineError(f"processes for trials keep dying at startup ({how})")
        if worker.trial is None or worker.ended:
            return
        if isinstance(worker.trial, TrialSpec):
            history = self.run.reread(worker.trial)
            if history.end is not None:
                yield worker.trial, [history.end]
                return
        deaths[worker.trial.id] += 1
        if deaths[worker.trial.id] <= RETRIES:
            waiting.appendleft(worker.trial)
            return
        yield from self._given_up(worker, f"its process died {RETRIES + 1} times ({how})")

    def _given_up(self, worker: Worker, reason: str) -> Iterator[Left]:
        """Write the end of a trial whose worker is dead, as no other process will."""
        if not isinstance(worker.trial, TrialSpec):
            raise MachineError(f"range test: {reason}")
        end = self.bench.failed_end(worker.trial, reason)
        yield worker.trial, [self.run.conclude(worker.trial, end)]
        self.run.state_path(worker.trial.id).unlink(missing_ok=True)


def _longest_first(work: Work) -> tuple[int, str]:
    """Pieces of a range test keep their order."""
    return (-work.epochs, work.recipe.canonical()) if isinstance(work, TrialSpec) else (0, "")
