"""Work that is repeated on the same memory: captured as a CUDA graph where the device can, else
called."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

Work = Callable[[], None]
WARM_UP = 3  # steps before a capture: optimizer state, cuDNN's choices and memory are then there


def lr_type(device: torch.device) -> torch.dtype:
    """Of a learning rate that an optimizer reads from the device: fused kernels read a float32 on
    CUDA (torch's FusedSgdKernel.cu) and a float64 on a CPU, as exact as the number itself."""
    import torch

    return torch.float32 if device.type == "cuda" else torch.float64


def repeated(work: Work, device: torch.device) -> Work:
    """The work as one CUDA graph, after some runs that warm it up; on other devices the work
    itself, after as many runs.

    Raises:
        RuntimeError: work that no graph can hold, such as work that reads from the device.
    """
    import torch

    if device.type != "cuda":
        for _ in range(WARM_UP):
            work()
        return work
    # a capture that fails leaves its own stream current, in torch before 2.15
    home = torch.cuda.current_stream(device)
    with torch.cuda.device(device), torch.cuda.stream(home):
        side = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        side.wait_stream(home)
        with torch.cuda.stream(side):
            for _ in range(WARM_UP - 1):
                work()
            with never_waiting():
                work()
        home.wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        # on the stream that was warmed up, whose workspaces are there; other threads do no harm
        with torch.cuda.graph(graph, stream=side, capture_error_mode="thread_local"):
            work()

    def again() -> None:
        with torch.cuda.device(device):
            graph.replay()

    return again


def seconds_each(work: Work, wait: Work, span_s: float) -> float:
    """Seconds of one run of the work, over at least `span_s` of them, after one that does not
    count; `wait` returns when the device is done."""
    work()
    wait()
    runs, began = 0, time.perf_counter()
    while True:
        for _ in range(5):
            work()
        runs += 5
        wait()
        if (spent := time.perf_counter() - began) >= span_s:
            return spent / runs


@contextmanager
def never_waiting() -> Iterator[None]:
    """Whatever waits for a CUDA device inside is an error. A capture would fail at it as well, but
    leave torch's generators unusable for the rest of the process."""
    import torch

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Synchronization debug mode is a prototype")
        before = torch.cuda.get_sync_debug_mode()
        torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode(before)


def abreast(works: Sequence[Work], device: torch.device) -> Work:
    """All of the works side by side, each on a stream of its own that starts from the current one
    and ends in it; on other devices one after the other."""
    import torch

    if device.type != "cuda":
        return in_turn(works)
    streams = [torch.cuda.Stream(device) for _ in works]  # type: ignore[no-untyped-call]

    def together() -> None:
        home = torch.cuda.current_stream(device)
        for stream in streams:
            stream.wait_stream(home)
        try:
            for work, stream in zip(works, streams, strict=True):
                with torch.cuda.stream(stream):
                    work()
        finally:  # a capture whose branches are loose cannot end, and the allocator waits for that
            for stream in streams:
                home.wait_stream(stream)

    return together


def in_turn(works: Sequence[Work]) -> Work:
    """One after the other."""

    def all_of_them() -> None:
        for work in works:
            work()

    return all_of_them
