"""Stops cleanly on a first signal and immediately on a second; survives closed output pipes.

Python handles signals only between bytecode instructions, so one long torch call would delay
Ctrl-C. Therefore the C handler writes to a wake-up pipe, and the thread that reads it ends the
process after a while, whatever the main thread does. Nothing is lost: records are on disk before
they are reported, and files are replaced atomically.
"""

import io
import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, NoReturn

from lrbench.errors import Terminated, printable

PR_SET_PDEATHSIG = 1  # prctl(2)
GRACE_S = 3.0
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}
WORDS = {130: "stopped by Ctrl-C", 143: "stopped by SIGTERM"}

_resume_command = ""
_raised = False


def resume_with(command: str) -> None:
    """Set the command to print when this process is stopped."""
    global _resume_command
    _resume_command = command


def farewell(code: int) -> str:
    """The last line of a stopped process that ends with this exit code."""
    again = f"; the same command continues where it stopped: {_resume_command}"
    return printable(WORDS[code] + again * bool(_resume_command), "?")


def install() -> None:
    """Raise KeyboardInterrupt on SIGINT and Terminated on SIGTERM, in the main thread. A second
    signal, or three seconds, end the process with 130 or 143."""
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
    if _importing(frame):  # an exception could be replaced, or abort C++ code
        _leave(CODES[signal.Signals(number)])
    raise KeyboardInterrupt if number == signal.SIGINT else Terminated


def _importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


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


@contextmanager
def pausing(group: Callable[[], int]) -> Iterator[None]:
    """Let Ctrl-Z also pause this process group, and `fg` resume it."""
    if threading.current_thread() is not threading.main_thread():  # no handler can be set here
        yield
        return

    def pause(number: int, frame: FrameType | None) -> None:
        with suppress(ProcessLookupError):
            os.killpg(group(), signal.SIGSTOP)
        os.kill(os.getpid(), signal.SIGSTOP)  # continues here
        with suppress(ProcessLookupError):
            os.killpg(group(), signal.SIGCONT)

    before = signal.signal(signal.SIGTSTP, pause)
    try:
        yield
    finally:
        signal.signal(signal.SIGTSTP, before)


def die_with(parent: int) -> None:
    """Let the kernel kill this process when its parent dies, even inside a long C call; a Ctrl-C
    sent to this process alone ends it without a traceback."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)


class _Unread(io.FileIO):
    """A stream that discards output once its reader is gone, so that training goes on."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.fileno())
            return len(data)


def outlive_readers() -> None:
    """Survive stdout and stderr being closed by their reader, as in `2>&1 | head -1`, or closed
    from the start, as with `>&-`: their descriptors must not be reused for a run's files."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            os.dup2(os.open(os.devnull, os.O_RDWR), number)
            setattr(sys, name, os.fdopen(number, mode, closefd=False))
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            raw = _Unread(stream.fileno(), "w", closefd=False)
            again = io.TextIOWrapper(
                io.BufferedWriter(raw), stream.encoding, "replace",
                line_buffering=stream.line_buffering, write_through=stream.write_through,
            )  # fmt: skip
            setattr(sys, name, again)
