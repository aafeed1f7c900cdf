"""Work that is repeated on the same memory: captured as a CUDA graph where the device can, else
called."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
    itself, after as many runs."""
    import torch

    if device.type != "cuda":
        for _ in range(WARM_UP):
            work()
        return work
    with torch.cuda.device(device):
        side = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(side):
            for _ in range(WARM_UP):
                work()
        torch.cuda.current_stream(device).wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            work()

    def again() -> None:
        with torch.cuda.device(device):
            graph.replay()

    return again


def abreast(works: Sequence[Work], device: torch.device) -> Work:
    """All of the works side by side, each on a stream of its own that starts from the current one
    and ends in it; on other devices one after the other."""
    import torch

    if device.type != "cuda":
        return in_turn(works)
    streams = [torch.cuda.Stream(device) for _ in works]  # type: ignore[no-untyped-call]

    def together() -> None:
        home = torch.cuda.current_stream(device)
        for work, stream in zip(works, streams, strict=True):
            stream.wait_stream(home)
            with torch.cuda.stream(stream):
                work()
        for stream in streams:
            home.wait_stream(stream)

    return together


def in_turn(works: Sequence[Work]) -> Work:
    """One after the other."""

    def all_of_them() -> None:
        for work in works:
            work()

    return all_of_them
