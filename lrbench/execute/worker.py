"""The processes that train. One is started for a run: it imports torch, opens the workbench, and
forks a worker for each socket that it is sent. It never starts a thread, which no fork survives.

It reads requests from a socket on its stdin: (0, place) with a socket, fork a worker; (n, 0), how
did the n-th worker end; (-n, 0), kill it. It alone buries workers, so that none of their numbers is
ever another's. A worker's place says which of several GPUs is its own.

A worker reads trials, one a line, and answers in lines of JSON:

    {"ready": {"code": …, "data": …, "machine": …}}    digests of what it has read, and where it is
    {"records": [...]}    as `run_trial` yields them, null for its end
    {"fault": "...", "hint": "..."}    what concerns every trial

All of them end with the process that started the run: the kernel kills them with it on Linux, and
a thread sees its socket close elsewhere.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from pydantic import TypeAdapter

from lrbench.engine.device import DeviceLost, device_at
from lrbench.errors import LrbenchError, MachineError
from lrbench.execute.trial import run_trial
from lrbench.execute.workbench import Workbench
from lrbench.options import CompareSpec, Host, Recipe, TrialSpec
from lrbench.plugins import described
from lrbench.run.journal import row_of
from lrbench.run.material import code_of
from lrbench.run.store import Run
from lrbench.stopping import die_with, outlive_readers
from lrbench.tasks.source import source_of

if TYPE_CHECKING:
    from lrbench.data import ImageData
    from lrbench.data.text import TextData

REQUEST = struct.Struct("qq")
ANSWER = struct.Struct("q")
LINUX = sys.platform == "linux"
GRACE_S = 1.0  # in which a worker that has closed its socket ends by itself

Attempt = tuple[Workbench, dict[str, Any]] | LrbenchError


def main() -> None:
    import torch

    about = json.loads(sys.argv[1])
    control = socket.socket(fileno=os.dup(0))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)  # stdout is for data
    outlive_readers()
    torch.set_num_threads(1)
    opened: Attempt | None = None
    if LINUX and about["host"]["device"] == "cpu":  # nothing may be opened on CUDA before a fork
        opened = attempted(about)
    _serve(control, about, opened)


def briefing(bench: Workbench, run: Run) -> dict[str, Any]:
    """What another process needs to know in order to lay out the same workbench."""
    host = {**asdict(bench.host), "threads": bench.threads, "device": str(bench.device)}
    recipes, schedules = trained_in(run, bench.recipe)
    return {
        "recipes": [recipe.model_dump(mode="json") for recipe in recipes],
        "schedules": schedules,
        "host": {**host, "download": False},
        "material": run.material,
    }


def trained_in(run: Run, plain: Recipe) -> tuple[Sequence[Recipe], Sequence[str]]:
    """The recipes and the schedules of a comparison, the plain recipe first."""
    experiment = (run.manifest or {}).get("experiment")
    if experiment is None:
        return (plain,), ()
    spec = CompareSpec.model_validate(experiment)
    return spec.recipes, spec.trained


def _serve(control: socket.socket, about: Mapping[str, Any], opened: Attempt | None) -> None:
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
            host = {**about["host"], "device": device_at(place, about["host"]["device"])}
            _work(socket.socket(fileno=links[0]), {**about, "host": host}, opened)
        os.close(links[0])
        workers.append(pid)


def _ended(pid: int, grace_s: float) -> int:
    """The exit code of a worker, which is killed after a while."""
    until = time.monotonic() + grace_s
    while True:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > until:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.005)


def attempted(about: Mapping[str, Any], data: ImageData | TextData | None = None) -> Attempt:
    """The workbench, open with one thread, and what its trials depend on; on `data` where they are
    not read from the disk."""
    host = TypeAdapter(Host).validate_python(about["host"])
    recipes = [Recipe(**recipe) for recipe in about["recipes"]]
    bench = Workbench(recipes[0], host)
    if data is not None:
        vars(bench)["source"] = source_of(data, bench.device, bench.recipe)
    try:
        bench = bench.with_threads(1)
        bench.open()
        read = {"code": code_of(recipes, about["schedules"]), "machine": bench.machine}
        return bench, {**read, "data": bench.source.facts().get("digest")}
    except LrbenchError as fault:
        return fault
    except BaseException as fault:  # the user's code may raise anything
        return MachineError(described(fault))


def ready(opened: Attempt, about: Mapping[str, Any]) -> tuple[Workbench, dict[str, Any]]:
    """The workbench with its trials' own number of threads, and the first message.

    Raises:
        LrbenchError: it could not be opened.
    """
    if isinstance(opened, LrbenchError):
        raise opened
    bench = opened[0].with_threads(about["host"]["threads"])
    return bench, {"ready": {**opened[1], "machine": bench.machine}}


def _work(link: socket.socket, about: Mapping[str, Any], opened: Attempt | None) -> NoReturn:
    code = 1
    try:
        _train(link, about, opened or attempted(about))
    except (DeviceLost, OSError):
        code = 0  # its trial is written down as failed; the next one gets a new process
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(code)


def _train(link: socket.socket, about: Mapping[str, Any], opened: Attempt) -> None:
    def say(message: Mapping[str, Any]) -> None:
        link.sendall(json.dumps(message).encode() + b"\n")

    try:
        bench, first = ready(opened, about)
        run = Run(Path(about["run"]), about["material"])
        say(first)
        for line in _lines(link):
            for records in run_trial(bench, run, TrialSpec.model_validate_json(line)):
                say({"records": [row_of(record) for record in records]})
            say({"records": None})
    except DeviceLost:
        raise
    except LrbenchError as fault:
        say({"fault": fault.message, "hint": fault.hint})


def _lines(link: socket.socket) -> Iterator[str]:
    """What a socket brings, read by a thread that ends this process when it closes: the parent is
    gone, or wants no more of it."""
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()

    def read() -> None:
        with suppress(ConnectionResetError), link.makefile() as file:
            for line in file:
                lines.put(line)
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    while True:
        yield lines.get()
