"""Trials on the nodes of a Ray cluster, or in local processes that Ray starts.

Only this process writes the run directory: the trainers send it records and checkpoints, and a
trial that continues elsewhere takes its journal and its checkpoint along.
"""

import importlib.util
import math
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any

from lrbench.errors import MachineError
from lrbench.execute import EXECUTORS, Train, Work
from lrbench.execute.ray_worker import Inbox, Kit, Trainer
from lrbench.execute.supervise import POLL_S, Crew, Message, Worker
from lrbench.execute.workbench import Workbench
from lrbench.execute.worker import Brief
from lrbench.files import replace_file
from lrbench.options import TrialSpec
from lrbench.records import EpochRecord, Record, TrialEnd
from lrbench.run.material import luggage
from lrbench.run.store import Run

SILENT_S = 120.0  # without a message: a hung node or a broken network
REACH_S = 10.0
ROOM_S = 900.0  # for a cluster to scale up
STORE_BYTES = 100 * 2**20  # of Ray's object store, which holds little besides checkpoints
FOUND_BY_RAY = Path("/tmp/ray/ray_current_cluster")
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",  # it would upload the working folder, up to 100 MB
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}  # a cluster of one machine, on any system


@dataclass(eq=False)
class Remote(Worker):
    """A trainer, seen from the driver. `call` is its current call, which fails when it dies."""

    number: int
    actor: Any
    call: Any
    begun: bool = False
    how: str = ""
    heard_s: float = math.inf


@dataclass(eq=False)
class Nodes(Crew):
    """The trainers of a run, each with a new number, so that messages of dead ones are dropped."""

    make: Callable[[int], Any]
    inbox: Any
    numbers: Iterator[int] = field(default_factory=count, init=False)
    looked_s: float = field(default=-math.inf, init=False)
    idle_s: float = field(default_factory=time.monotonic, init=False)

    @cached_property
    def data(self) -> Any:
        """The data in Ray's object store, from which each node fetches it once."""
        import ray

        return ray.put(self.bench.source.data)

    def hire(self) -> Worker:
        number = next(self.numbers)
        actor = self.make(number)
        return Remote(number, actor, actor.open.remote())

    def give(self, worker: Remote, trial: Work) -> None:
        worker.begun = False
        kept = self.run.journal_path(trial.id), self.run.state_path(trial.id)
        files = {path.name: path.read_bytes() for path in kept if all(p.exists() for p in kept)}
        worker.call = worker.actor.train.remote(trial.model_dump_json(), files)

    def heard(self) -> Sequence[tuple[Worker, Sequence[Message] | None]]:
        """Checks for ended calls now and then, before it reads the inbox, which by then holds all
        that they sent."""
        import ray

        calls, ended = {worker.call: worker for worker in self.workers}, []
        if time.monotonic() - self.looked_s > POLL_S:
            ended, _ = ray.wait(list(calls), num_returns=len(calls), timeout=0)
            self.looked_s = time.monotonic()
        try:
            taken = ray.get(self.inbox.take.remote(0.0 if ended else POLL_S))
        except ray.exceptions.RayError as fault:
            raise MachineError(
                f"the Ray cluster was lost ({_first_line(fault)})",
                hint="repeat the command to continue on another one",
            ) from None
        said = self._sorted(taken)
        for call in ended:
            try:
                ray.get(call)
            except (ray.exceptions.RayError, OSError) as fault:
                calls[call].how = _first_line(fault)
        now_s = time.monotonic()
        for worker in self.workers:
            if now_s - worker.heard_s > SILENT_S:
                worker.how = f"no sign of life for {SILENT_S:g} s"
        self._refuse_to_wait()
        return [*said, *((worker, None) for worker in self.workers if worker.how)]

    def _sorted(self, taken: Sequence[dict[str, Any]]) -> list[tuple[Worker, Sequence[Message]]]:
        """The messages of each worker, without mere signs of life."""
        by_number = {worker.number: worker for worker in self.workers}
        said: dict[Remote, list[Message]] = {}
        for message in taken:
            worker = by_number.get(message.pop("worker"))
            if worker is None:
                continue
            worker.heard_s = time.monotonic()
            if "wanted" in message:
                worker.call = worker.actor.open.remote(self.data)
            elif message:
                said.setdefault(worker, []).append(message)
        return list(said.items())

    def _refuse_to_wait(self) -> None:
        """Raise MachineError if the cluster has had no room for `ROOM_S`."""
        now_s = time.monotonic()
        if any(worker.heard_s < math.inf for worker in self.workers):
            self.idle_s = now_s
        if now_s - self.idle_s > ROOM_S:
            raise MachineError(
                f"the Ray cluster has had no room for a trial for {ROOM_S / 60:g} min",
                hint=f"each takes {self.bench.threads} CPUs (--threads)",
            )

    def bury(self, worker: Remote, *, at_once: bool = False) -> str:
        import ray

        ray.kill(worker.actor)
        self.false_starts += not worker.ready
        return worker.how

    def write(self, worker: Remote, message: Message, records: Sequence[Record]) -> None:
        """The first records of an attempt show the epoch from which it resumed."""
        trial, run = worker.trial, self.run
        if not records or not isinstance(trial, TrialSpec):
            return
        last = records[-1]
        if not worker.begun:
            assert isinstance(last, (EpochRecord, TrialEnd))
            done = last.epoch - 1 if isinstance(last, EpochRecord) else last.epochs
            if not run.rewind(trial, done):
                run.begin(trial)
            worker.begun = True
        run.append(trial.id, records)
        if isinstance(last, TrialEnd):
            run.state_path(trial.id).unlink(missing_ok=True)
        elif "state" in message:
            replace_file(run.state_path(trial.id), message["state"])


@EXECUTORS.register("ray", "on the nodes of a Ray cluster (--address)")
@contextmanager
def cluster(bench: Workbench, run: Run) -> Iterator[Train]:
    """Ray never restarts actors or retries calls: the crew counts failures and retries."""
    if importlib.util.find_spec("ray") is None:
        raise MachineError("--executor ray needs Ray", hint="pip install 'torch-lrbench[ray]'")
    os.environ.update({**QUIET, **os.environ})
    with _connected(bench):
        import ray

        room = ray.cluster_resources()
        on_gpu = bench.device.type == "cuda"
        free = room.get("GPU", 0) if on_gpu else room.get("CPU", 0) // bench.threads
        most = bench.host.jobs or max(1, int(free))
        brief = Brief.of(bench, run).on(bench.device.type)  # Ray gives each trainer its own GPU
        kit = ray.put(
            Kit(
                luggage(brief.recipes, brief.schedules),
                tuple(folder or os.getcwd() for folder in sys.path),
                os.getcwd(),
                bench.source.data is not None,
                most,
            )
        )
        here = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
            ray.get_runtime_context().get_node_id(), soft=False
        )
        inbox = ray.remote(Inbox).options(num_cpus=0, scheduling_strategy=here).remote()
        trainer = ray.remote(Trainer).options(
            num_cpus=bench.threads, num_gpus=int(on_gpu),
            max_restarts=0, max_task_retries=0, scheduling_strategy="SPREAD",
        )  # fmt: skip
        text = brief.model_dump_json()
        crew = Nodes(
            bench, run, most, lambda number: trainer.remote(number, inbox, text, kit), inbox
        )
        try:
            yield crew.train
            if tidied := [worker.actor.close.remote() for worker in crew.workers]:
                ray.wait(tidied, num_returns=len(tidied), timeout=POLL_S)
        finally:
            for actor in (*(worker.actor for worker in crew.workers), inbox):
                with suppress(ray.exceptions.RayError, RuntimeError):
                    ray.kill(actor)


@contextmanager
def _connected(bench: Workbench) -> Iterator[None]:
    """Connect to Ray, unless the caller already has; our signal handlers stay."""
    address = bench.host.address
    known = "RAY_ADDRESS" in os.environ or FOUND_BY_RAY.exists()
    local = address == "local" or (address == "auto" and not known)
    if local:
        os.environ.update({**LOOPBACK, **os.environ})
    import ray

    if ray.is_initialized():
        yield
        return
    own = {
        "num_cpus": bench.jobs * bench.threads, "include_dashboard": False,
        "object_store_memory": STORE_BYTES,
    }  # fmt: skip
    try:
        with _own_signals():
            _begin(address="local" if local else address, **(own if local else {}))
        yield
    finally:
        with _own_signals():
            ray.shutdown()


def _begin(**options: Any) -> None:
    """Start Ray or connect to it. Tries twice, as a port may be taken before it is used."""
    import ray

    for attempt in (1, 2):
        try:
            _knock(options["address"])
            ray.init(log_to_driver=False, logging_level="ERROR", **options)
            return
        except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as fault:
            ray.shutdown()
            if attempt == 2:
                what = "start" if options["address"] == "local" else "reach"
                raise MachineError(
                    f"could not {what} Ray ({_first_line(fault)})",
                    hint="check --address, free memory and /dev/shm, or use --executor pool",
                ) from None


def _knock(address: str) -> None:
    """Raise OSError or ValueError if nothing answers at the address: Ray itself would retry for
    minutes."""
    host, colon, port = address.rpartition(":")
    if colon:
        socket.create_connection((host, int(port)), timeout=REACH_S).close()


@contextmanager
def _own_signals() -> Iterator[None]:
    """Restore the handlers that Ray replaces."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in before.items():
                signal.signal(number, handler)


def _first_line(fault: BaseException) -> str:
    return (str(fault).strip().splitlines() or [type(fault).__name__])[0][:300]
