"""The processes that train. One is started per run: it imports torch, opens the workbench, and
forks a worker for each socket it is sent. It never starts a thread, which would not survive a fork.

It reads requests from a socket on its stdin: (0, place) with a socket forks a worker, (n, 0) asks
how the n-th worker ended, (-n, 0) kills it first. Only this process reaps workers, so that a
number never refers to another process. A worker's place says which of several GPUs it uses.

A worker, here or on a node, receives trials or pieces of a range test and answers with messages:

    {"ready": {"code": …, "data": …, "machine": …}}    digests of what it has read, and its machine
    {"records": [...]}    as `run_work` yields them, null at the end
    {"fault": "...", "hint": "..."}    a fault that affects every trial

All of them end with the process that started the run: on Linux the kernel kills them with it;
elsewhere a thread notices that its socket closes.
"""

import json
import os
import queue
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from pydantic import TypeAdapter

from lrbench.engine.device import DeviceLost, device_at
from lrbench.errors import LrbenchError, MachineError
from lrbench.execute import Work, run_work
from lrbench.execute.workbench import Workbench
from lrbench.options import CompareSpec, Frozen, Host, Recipe
from lrbench.plugins import described
from lrbench.records import Record
from lrbench.run.journal import row_of
from lrbench.run.material import code_of
from lrbench.run.store import Run
from lrbench.stopping import die_with, outlive_readers
from lrbench.tasks.source import Data, source_of

REQUEST = struct.Struct("qq")
ANSWER = struct.Struct("q")
READER: TypeAdapter[Work] = TypeAdapter(Work)
GRACE_S = 1.0  # for a worker to exit after closing its socket

Opened = tuple[Workbench, dict[str, Any]]


class Brief(Frozen):
    """What another process needs to prepare the same workbench: the recipes of a
    comparison, the plain one first, and the folder and material of its run."""

    recipes: tuple[Recipe, ...]
    schedules: tuple[str, ...]
    host: Host
    path: Path
    material: str

    @staticmethod
    def of(bench: Workbench, run: Run) -> "Brief":
        experiment = (run.manifest or {}).get("experiment")
        spec = experiment and CompareSpec.model_validate(experiment)
        return Brief(
            recipes=spec.recipes if spec else (bench.recipe,),
            schedules=spec.trained if spec else (),
            host=replace(bench.host, threads=bench.threads, download=False),
            path=run.path,
            material=run.material,
        ).on(str(bench.device))

    def on(self, device: str) -> "Brief":
        return self.model_copy(update={"host": replace(self.host, device=device)})


def opened(brief: Brief, data: Data | None = None) -> Opened:
    """Open the workbench with one thread, on `data` if given instead of reading from disk. Returns
    it with the digests of code and data.

    Raises:
        LrbenchError: the workbench cannot be opened.
    """
    bench = Workbench(brief.recipes[0], replace(brief.host, threads=1))
    try:
        if data is not None:
            vars(bench)["source"] = source_of(data, bench.device, bench.recipe)
        bench.open()
        code = code_of(brief.recipes, brief.schedules)
    except LrbenchError:
        raise
    except BaseException as fault:  # the user's code may raise anything
        raise MachineError(described(fault)) from fault
    return bench, {"code": code, "data": bench.source.facts().get("digest")}


def talk(
    brief: Brief, works: Iterable[str], found: Opened | None = None, data: Data | None = None
) -> Iterator[dict[str, Any]]:
    """Train each of the works and yield the worker's messages. Uses the workbench `found` open, or
    opens one, on `data` as in `opened`."""
    try:
        bench, read = found or opened(brief, data)
        bench = bench.with_threads(brief.host.threads or 1)
        run = Run(brief.path, brief.material)
        yield {"ready": {**read, "machine": bench.machine}}
        for text in works:
            for left in run_work(bench, run, READER.validate_json(text)):
                rows = [row_of(each) if isinstance(each, Record) else each for each in left]
                yield {"records": rows}
            yield {"records": None}
    except DeviceLost:  # its trial is recorded as failed; the next one gets a new process
        os._exit(0)
    except LrbenchError as fault:
        yield {"fault": fault.message, "hint": fault.hint}


def main() -> None:
    import torch

    import lrbench.execute.trial  # noqa: F401  # once, not after each fork

    brief = Brief.model_validate_json(sys.argv[1])
    control = socket.socket(fileno=os.dup(0))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)  # stdout is for data
    outlive_readers()
    torch.set_num_threads(1)
    found: Opened | None = None
    if sys.platform == "linux" and brief.host.device == "cpu":  # CUDA does not survive a fork
        with suppress(LrbenchError):  # every worker will find and report it
            found = opened(brief)
    parent, workers = os.getpid(), list[int]()
    while True:
        request, links, _, _ = socket.recv_fds(control, REQUEST.size, 1)
        if not request:
            return
        number, place = REQUEST.unpack(request)
        if number:
            code = _ended(workers[abs(number) - 1], 0.0 if number < 0 else GRACE_S)
            control.sendall(ANSWER.pack(code))
            continue
        pid = os.fork()
        if pid == 0:
            control.close()
            die_with(parent)
            _work(
                socket.socket(fileno=links[0]), brief.on(device_at(place, brief.host.device)), found
            )
        os.close(links[0])
        workers.append(pid)


def _ended(pid: int, grace_s: float) -> int:
    """The exit code of a worker, which is killed after `grace_s`."""
    until = time.monotonic() + grace_s
    while True:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > until:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.005)


def _work(link: socket.socket, brief: Brief, found: Opened | None) -> NoReturn:
    code = 0
    try:
        for message in talk(brief, _lines(link), found):
            link.sendall(json.dumps(message).encode() + b"\n")
    except OSError:
        pass
    except BaseException:
        code = 1
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(code)


def _lines(link: socket.socket) -> Iterator[str]:
    """The lines that arrive on a socket, read by a thread that ends this process when the socket
    closes: the parent has died or does not need it any more."""
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()

    def read() -> None:
        with suppress(ConnectionResetError), link.makefile() as file:
            for line in file:
                lines.put(line)
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    while True:
        yield lines.get()
