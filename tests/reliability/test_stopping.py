"""Ctrl-C and SIGTERM, once and twice, in a step that takes longer than anybody waits."""

import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from lrbench.__main__ import run
from lrbench.files import is_scratch
from tests.reliability.tools import (
    ONE_LR,
    ROOT,
    SMALL,
    alive,
    command,
    finish,
    moody,
    processes,
    start,
    unwarned,
    wait_for,
)

STUCK = 'hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)'  # never ends, deep in C


SERIAL, POOL = ("--executor", "serial"), ("-j", "2")


@pytest.mark.parametrize(
    ("number", "code", "times", "how"),
    [
        (signal.SIGINT, 130, 1, SERIAL),
        pytest.param(signal.SIGTERM, 143, 1, SERIAL, marks=pytest.mark.long),
        pytest.param(signal.SIGINT, 130, 2, SERIAL, marks=pytest.mark.long),
        pytest.param(signal.SIGTERM, 143, 2, SERIAL, marks=pytest.mark.soak),
        (signal.SIGINT, 130, 1, POOL),
        pytest.param(signal.SIGTERM, 143, 1, POOL, marks=pytest.mark.soak),
    ],
)
def test_a_step_that_does_not_end_is_left_after_three_seconds_or_at_once(
    tmp_path: Path, number: int, code: int, times: int, how: tuple[str, ...]
) -> None:
    """And no process is left behind."""
    env = moody(tmp_path / "plugins", {"any": STUCK})
    process = start(*SMALL, *how, "--model", "moody", "--out", "run", cwd=tmp_path, env=env)
    wait_for(lambda: len(processes(tmp_path)) == 1 + (how == POOL))
    trainers = processes(tmp_path)
    assert (process.pid in trainers) == (how == SERIAL)
    began = time.monotonic()
    process.send_signal(number)
    if times == 2:
        time.sleep(0.3)
        process.send_signal(number)
    found, _, said = finish(process, 20)
    took_s = time.monotonic() - began
    assert found == code
    assert "lrbench compare --resume run" in said and len(said.splitlines()) == 1
    assert took_s < (1.5 if times == 2 else 4.5)
    wait_for(lambda: not any(map(alive, trainers)), timeout_s=5)


AT_IMPORT = """
import os, signal, sys, threading, time
def stop():
    while {module!r} not in sys.modules:
        time.sleep(0.0005)
    os.kill(os.getpid(), signal.{name})
threading.Thread(target=stop, daemon=True).start()
"""


@pytest.mark.parametrize(
    ("module", "name"),
    [
        pytest.param("pydantic", "SIGINT", id="first imports"),
        pytest.param("torch.nn", "SIGTERM", id="torch is imported", marks=pytest.mark.long),
        pytest.param("matplotlib.figure", "SIGINT", id="report", marks=pytest.mark.long),
    ],
)
def test_a_stop_while_modules_are_imported_is_one_line_as_well(
    tmp_path: Path, module: str, name: str
) -> None:
    argv = (*ONE_LR, "--seeds", "1", "--out", "run")
    code = AT_IMPORT.format(module=module, name=name)
    found, _, said = command(*argv, cwd=tmp_path, code=code)
    assert found == (130 if name == "SIGINT" else 143), said
    (line,) = unwarned(said)
    assert line.startswith("lrbench: stopped by")
    assert ("continues" in line) == (tmp_path / "run").exists()
    if module == "matplotlib.figure":
        assert run([*argv[:-1], str(tmp_path / "run")]) == 0
        assert (tmp_path / "run" / "report.html").exists()
        assert not [path for path in tmp_path.rglob("*") if is_scratch(path)]


def test_next_to_nothing_is_imported_before_a_stop_has_its_answer() -> None:
    code = "import sys, lrbench.__main__; print(*sys.modules)"
    argv = [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.append({str(ROOT)!r}); {code}"]
    found = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()
    assert "lrbench.__main__" in found
    assert not {"typing", "re", "threading", "dataclasses"} & {*found}


@pytest.mark.parametrize("name", ["stderr", pytest.param("stdout", marks=pytest.mark.long)])
def test_a_reader_that_goes_away_stops_nothing(tmp_path: Path, name: str) -> None:
    """As `2>&1 | head -1` does; what is trained and written is the same."""
    argv = [arg for arg in ONE_LR if arg != "--quiet"]
    process = start(*argv, "--out", "run", cwd=tmp_path)
    stream = getattr(process, name)
    stream.close()
    setattr(process, name, None)
    assert finish(process)[0] == 0
    assert (tmp_path / "run" / "report.html").exists()


class Stalling(BaseHTTPRequestHandler):
    """Begins to send a file, and then sends no more."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(2**24))
        self.end_headers()
        self.wfile.write(b"x" * 2**16)
        self.wfile.flush()
        self.server.stalled.wait(60)  # type: ignore[attr-defined]

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.mark.long
def test_a_stop_while_data_are_fetched_leaves_nothing_that_passes_for_data(tmp_path: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Stalling) as server:
        server.stalled = threading.Event()  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        mirror = f"http://127.0.0.1:{server.server_port}/"
        code = f"from torchvision.datasets import MNIST\nMNIST.mirrors = [{mirror!r}]"
        argv = ("data", "fetch", "mnist", "--data-dir", "data")
        process = start(*argv, cwd=tmp_path, code=code)
        wait_for(lambda: list(tmp_path.glob("data/MNIST/raw/*")))
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        found, _, said = finish(process, 20)
        took_s = time.monotonic() - began
        server.stalled.set()  # type: ignore[attr-defined]
        server.shutdown()
    assert found == 130 and took_s < 4.5, said
    assert said.splitlines()[-1].startswith("lrbench: stopped by Ctrl-C")
    found, _, said = command("data", "check", "mnist", "--data-dir", "data", cwd=tmp_path)
    assert found == 3 and len(said.splitlines()) == 1 and "mnist is not in" in said
