"""Being stopped by a signal: the first time soon and in good order, the second time at once.

Python raises between two of its own instructions, so a single long step of torch would keep a
Ctrl-C waiting. The wake-up pipe is written by the C handler itself and read by a thread, which
ends the process after a while whatever the main thread does. Nothing is lost by that: records
are on disk before they are reported, and files are replaced whole.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
from types import FrameType
from typing import NoReturn

from lrbench.errors import printable

GRACE_S = 3.0
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}
WORDS = {130: "stopped by Ctrl-C", 143: "stopped by SIGTERM"}

_resume_command = ""
_raised = False


class Terminated(BaseException):
    """SIGTERM arrived."""


def resume_with(command: str) -> None:
    """Set the command that is printed when this process is stopped."""
    global _resume_command
    _resume_command = command


def farewell(code: int) -> str:
    """The line for a process that was stopped and ends with this exit code."""
    again = f": {_resume_command}" if _resume_command else ""
    line = f"{WORDS[code]}; the same command continues where it stopped{again}"
    return printable(line, "?")


def install() -> None:
    """Answer SIGINT with KeyboardInterrupt and SIGTERM with Terminated, in the main thread; a
    second signal, or three seconds, end the process with 130 or 143."""
    reader, writer = os.pipe()
    for end in (reader, writer):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(reader,), daemon=True).start()
    for number in CODES:
        signal.signal(number, _raise_once)


def _raise_once(number: int, frame: FrameType | None) -> None:
    global _raised
    if _raised:
        return
    _raised = True
    raise KeyboardInterrupt if number == signal.SIGINT else Terminated


def _watch(reader: int) -> None:
    first = 0
    while True:
        ready, _, _ = select.select([reader], [], [], GRACE_S if first else None)
        numbers = [n for n in os.read(reader, 64) if n in CODES] if ready else []
        if first and (numbers or not ready):
            _leave(CODES[signal.Signals(first)])
        first = first or next(iter(numbers), 0)
        if len(numbers) > 1:
            _leave(CODES[signal.Signals(first)])


def _leave(code: int) -> NoReturn:
    cursor = b"\x1b[?25h" if sys.stderr is not None and sys.stderr.isatty() else b""
    os.write(2, cursor + f"lrbench: {farewell(code)}\n".encode(errors="replace"))
    os._exit(code)
