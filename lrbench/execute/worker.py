"""A process that trains trials: JSON lines in, JSON lines out.

    {"recipe": ..., "host": ..., "run": ..., "material": ...}     once; then trials, one a line
    {"records": [...]}                            as `run_trial` yields them, null for its end
    {"fault": "...", "hint": "..."}               what concerns every trial

It ends with its parent, however that ends: the pipe closes, and a thread watches it.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from pydantic import TypeAdapter

from lrbench.engine.device import DeviceLost
from lrbench.errors import LrbenchError
from lrbench.execute.trial import run_trial
from lrbench.execute.workbench import Workbench
from lrbench.experiment import Host, Recipe, TrialSpec
from lrbench.run.journal import row_of
from lrbench.run.store import Run

HOST = TypeAdapter(Host)


def main() -> None:
    """Answer on what was stdout; what a model prints goes to stderr."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    try:
        _work(_lines(), answers)
    except DeviceLost:
        return  # the trial is written down as failed; the next one gets a new process
    except LrbenchError as fault:
        _say(answers, {"fault": fault.message, "hint": fault.hint})


def _work(lines: Iterator[str], answers: IO[str]) -> None:
    about = json.loads(next(lines))
    bench = Workbench(Recipe(**about["recipe"]), HOST.validate_python(about["host"]))
    run = Run(Path(about["run"]), about["material"])
    bench.open()
    _say(answers, {"ready": os.getpid()})
    for line in lines:
        for records in run_trial(bench, run, TrialSpec.model_validate_json(line)):
            _say(answers, {"records": [row_of(record) for record in records]})
        _say(answers, {"records": None})


def _say(answers: IO[str], message: dict[str, Any]) -> None:
    answers.write(json.dumps(message) + "\n")


def _lines() -> Iterator[str]:
    """The lines of stdin, read by a thread that ends this process when there are no more: its
    parent is gone, or wants no more of it."""
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()

    def read() -> None:
        for line in sys.stdin:
            lines.put(line)
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    while True:
        yield lines.get()


if __name__ == "__main__":
    main()
