"""What runs on the nodes of a Ray cluster: the trainers, and next to the driver the inbox to which
they send records and checkpoints. What a trainer writes is in a scratch folder of its node."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrbench.engine.device import DeviceLost, wait_briefly
from lrbench.errors import LrbenchError, MachineError
from lrbench.execute.trial import run_work
from lrbench.execute.worker import READER, attempted, ready, rows_of
from lrbench.files import replace_file
from lrbench.records import TrialEnd
from lrbench.run.store import Run

if TYPE_CHECKING:
    from lrbench.data import ImageData
    from lrbench.data.text import TextData

ALIVE_S = 5.0  # between two signs of life
CHECKPOINTS_S = 10.0  # between two checkpoints of a trial on their way to the driver, at least
CHECKPOINTS_BYTES_S = 1e8  # of all trainers together, at most


class Inbox:
    """The messages of all trainers, on the driver's node and gone with the driver."""

    def __init__(self) -> None:
        self.messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def put(self, message: dict[str, Any]) -> None:
        self.messages.put_nowait(message)

    async def take(self, wait_s: float) -> list[dict[str, Any]]:
        """All that has come, after a while at most."""
        found: list[dict[str, Any]] = []
        with suppress(asyncio.TimeoutError):
            found.append(await asyncio.wait_for(self.messages.get(), wait_s))
        while not self.messages.empty():
            found.append(self.messages.get_nowait())
        return found


class Trainer:
    """A process on some node: opens the workbench, then trains one trial after the other."""

    def __init__(self, number: int, inbox: Any, about: Mapping[str, Any]) -> None:
        wait_briefly()
        self.number, self.inbox, self.about = number, inbox, about
        self.scratch = Path(tempfile.mkdtemp(prefix="lrbench-ray-"))
        code = self.scratch / "code"
        code.mkdir()
        for label, content in about["luggage"].items():
            path = code / label
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        sys.path[:0] = [str(code), *about["path"]]
        home = Path(about["folder"])
        os.chdir(home if home.is_dir() else code)
        if about["host"]["device"] == "cpu":  # Ray hides no GPU from those that ask for none
            os.environ["CUDA_VISIBLE_DEVICES"] = ""
        threading.Thread(target=self._live, daemon=True).start()

    def open(self, data: ImageData | TextData | None = None) -> None:
        """`data` is what a node without the dataset asks for."""
        opened = attempted(self.about, data)
        if data is None and self.about["sendable"] and isinstance(opened, MachineError):
            self._say({"wanted": "data"})
            return
        try:
            self.bench, first = ready(opened, self.about)
            self.run = Run(self.scratch, self.about["material"])
            self._say(first)
        except LrbenchError as fault:
            self._say({"fault": fault.message, "hint": fault.hint})

    def train(self, text: str, attempt: int, files: Mapping[str, bytes]) -> None:
        """Every record has reached the inbox when this returns."""
        trial = READER.validate_json(text)
        state = self.run.state_path(trial.id)
        for name, content in files.items():
            replace_file(state.with_name(name), content)
        sent_s, places = time.monotonic(), count()
        head = {"trial": trial.id, "attempt": attempt}
        try:
            for records in run_work(self.bench, self.run, trial):
                rows = rows_of(records)
                message: dict[str, Any] = {**head, "index": next(places), "records": rows}
                last = records[-1] if records else None
                if isinstance(last, TrialEnd) and last.status != "failed":
                    message["last"] = True  # saves a message; a failed one may have lost the GPU
                    self._say(message)
                    break
                if state.exists() and time.monotonic() - sent_s > self._pause_s(state):
                    message["state"], sent_s = state.read_bytes(), time.monotonic()
                self._say(message)
            else:
                self._say({**head, "index": next(places), "records": None})
        except DeviceLost:
            os._exit(0)  # the trial is written down as failed; the next one gets a new process
        except LrbenchError as fault:
            self._say({"fault": fault.message, "hint": fault.hint})
        shutil.rmtree(state.parent, ignore_errors=True)

    def close(self) -> None:
        shutil.rmtree(self.scratch, ignore_errors=True)

    def _pause_s(self, state: Path) -> float:
        trainers: int = self.about["trainers"]
        return max(CHECKPOINTS_S, state.stat().st_size * trainers / CHECKPOINTS_BYTES_S)

    def _say(self, message: Mapping[str, Any]) -> None:
        import ray

        ray.get(self.inbox.put.remote({"worker": self.number, **message}))

    def _live(self) -> None:
        while True:
            time.sleep(ALIVE_S)
            self.inbox.put.remote({"worker": self.number})
