"""What runs on the nodes of a Ray cluster: the trainers and, on the driver's node, the inbox to
which they send records and checkpoints. A trainer writes to a scratch folder on its node."""

import asyncio
import os
import shutil
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lrbench.engine.device import wait_briefly
from lrbench.execute.worker import READER, Brief, talk
from lrbench.files import replace_file
from lrbench.run.store import Run

ALIVE_S = 5.0  # between signs of life
CHECKPOINTS_S = 10.0  # at least, between checkpoints of a trial sent to the driver
CHECKPOINTS_BYTES_S = 1e8  # at most, for all trainers together


class Inbox:
    """The messages of all trainers, on the driver's node; it ends with the driver."""

    def __init__(self) -> None:
        self.messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def put(self, message: dict[str, Any]) -> None:
        self.messages.put_nowait(message)

    async def take(self, wait_s: float) -> list[dict[str, Any]]:
        """All messages so far; waits up to `wait_s` for the first."""
        found: list[dict[str, Any]] = []
        with suppress(asyncio.TimeoutError):
            found.append(await asyncio.wait_for(self.messages.get(), wait_s))
        while not self.messages.empty():
            found.append(self.messages.get_nowait())
        return found


@dataclass(frozen=True)
class Kit:
    """What a node gets besides the brief: the user's own files by relative path, the driver's
    import path and working folder, whether the data can be sent, and how many trainers share the
    link to the driver."""

    luggage: Mapping[str, bytes]
    path: tuple[str, ...]
    folder: str
    sendable: bool
    trainers: int


class Trainer:
    """A process on a node: opens the workbench, then trains one trial after another."""

    def __init__(self, number: int, inbox: Any, brief: str, kit: Kit) -> None:
        wait_briefly()
        self.number, self.inbox, self.kit = number, inbox, kit
        self.works = deque[str]()
        self.scratch = Path(tempfile.mkdtemp(prefix="lrbench-ray-"))
        self.brief = Brief.model_validate_json(brief).model_copy(update={"path": self.scratch})
        code = self.scratch / "code"
        code.mkdir()
        for label, content in kit.luggage.items():
            path = code / label
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        sys.path[:0] = [str(code), *kit.path]
        os.chdir(kit.folder if Path(kit.folder).is_dir() else code)
        # Ray does not hide GPUs from trainers that ask for none
        if self.brief.host.device == "cpu":
            os.environ["CUDA_VISIBLE_DEVICES"] = ""
        threading.Thread(target=self._live, daemon=True).start()

    def open(self, data: Any = None) -> None:
        """A node without the dataset asks to be called again with `data`."""
        self.talk = talk(self.brief, iter(self.works.popleft, ""), data=data)
        first = next(self.talk)
        asks = "fault" in first and data is None and self.kit.sendable
        self._say({"wanted": "data"} if asks else first)

    def train(self, text: str, files: Mapping[str, bytes]) -> None:
        """When this returns, every record has reached the inbox."""
        state = Run(self.scratch).state_path(READER.validate_json(text).id)
        for name, content in files.items():
            replace_file(state.with_name(name), content)
        sent_s = time.monotonic()
        self.works.append(text)
        for message in self.talk:
            if state.exists() and time.monotonic() - sent_s > self._pause_s(state):
                message["state"], sent_s = state.read_bytes(), time.monotonic()
            self._say(message)
            if "records" in message and message["records"] is None:
                break
        shutil.rmtree(state.parent, ignore_errors=True)

    def close(self) -> None:
        shutil.rmtree(self.scratch, ignore_errors=True)

    def _pause_s(self, state: Path) -> float:
        size = state.stat().st_size
        return max(CHECKPOINTS_S, size * self.kit.trainers / CHECKPOINTS_BYTES_S)

    def _say(self, message: Mapping[str, Any]) -> None:
        import ray

        ray.get(self.inbox.put.remote({"worker": self.number, **message}))

    def _live(self) -> None:
        while True:
            time.sleep(ALIVE_S)
            self.inbox.put.remote({"worker": self.number})
