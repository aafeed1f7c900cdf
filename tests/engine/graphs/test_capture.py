"""How work is captured, against a stand-in for a CUDA device that writes down what it is told."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch

from lrbench.engine.graphs.capture import WARM_UP, captured, in_parallel

CUDA = torch.device("cuda", 0)


@dataclass
class Device:
    """The stream that is current, whether waiting is an error, and whether it captures."""

    current: str = "home"
    mode: Any = "default"
    capturing: bool = False
    streams: int = 0
    replays: int = 0
    told: list[str] = field(default_factory=list)

    def wait(self) -> None:
        if self.mode == "error" or self.capturing:
            raise RuntimeError("called a synchronizing CUDA operation")


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Device:
    found, takes = Device(), inspect.signature(torch.cuda.graph)

    class Stream(str):
        def wait_stream(self, other: str) -> None:
            found.told.append(f"{self} waits for {other}")

    class Graph:
        def replay(self) -> None:
            found.replays += 1

    def made(_: Any) -> Stream:
        found.streams += 1
        return Stream(f"stream {found.streams}")

    @contextmanager
    def on(stream: str) -> Iterator[None]:
        before, found.current = found.current, stream
        try:
            yield
        finally:
            found.current = before

    @contextmanager
    def graph(*args: Any, **kwargs: Any) -> Iterator[None]:
        given = takes.bind(*args, **kwargs).arguments
        assert isinstance(given["cuda_graph"], Graph)
        assert given["capture_error_mode"] == "thread_local"
        before, found.current, found.capturing = found.current, given["stream"], True
        found.told.append("capture")
        try:
            yield
        finally:
            found.capturing = False
        found.current = before  # torch before 2.15: not where the capture failed

    replaced = {
        "device": lambda _: nullcontext(), "Stream": made, "stream": on, "graph": graph,
        "CUDAGraph": Graph, "current_stream": lambda _: Stream(found.current),
        "get_sync_debug_mode": lambda: found.mode,
        "set_sync_debug_mode": lambda mode: setattr(found, "mode", mode),
    }  # fmt: skip
    for name, value in replaced.items():
        monkeypatch.setattr(torch.cuda, name, value)
    return found


def test_it_is_captured_on_the_stream_that_was_warmed_up(device: Device) -> None:
    seen: list[tuple[str, Any, bool]] = []
    again = captured(lambda: seen.append((device.current, device.mode, device.capturing)), CUDA)
    warm = [("stream 1", "default", False)] * (WARM_UP - 1) + [("stream 1", "error", False)]
    assert seen == [*warm, ("stream 1", "default", True)]
    assert device.told == ["stream 1 waits for home", "home waits for stream 1", "capture"]
    assert (device.current, device.mode) == ("home", "default")
    again()
    assert device.replays == 1 and len(seen) == WARM_UP + 1


def test_a_capture_that_fails_leaves_its_stream(device: Device) -> None:
    def work() -> None:
        if device.capturing:
            raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        captured(work, CUDA)
    assert device.current == "home"


def test_parallel_streams_end_in_the_current_one_when_one_of_them_fails(device: Device) -> None:
    """As it does where the memory ends; else the capture could not be ended."""

    def full() -> None:
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        in_parallel([full, full, full], CUDA)()
    forks = [f"stream {n} waits for home" for n in (1, 2, 3)]
    assert device.told == [*forks, *(f"home waits for stream {n}" for n in (1, 2, 3))]
