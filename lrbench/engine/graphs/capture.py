"""Captures work as a CUDA graph. On other devices, the work is simply called."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch

Work = Callable[[], None]
WARM_UP = 3  # runs before a capture: they allocate optimizer state and settle cuDNN's choices


def lr_dtype(device: torch.device) -> torch.dtype:
    """The dtype of a learning rate that fused optimizers read from the device: float32 on CUDA
    (torch's FusedSgdKernel.cu), float64 on a CPU, where it equals the Python number."""
    return torch.float32 if device.type == "cuda" else torch.float64


def captured(work: Work, device: torch.device) -> Work:
    """Capture the work as one CUDA graph, after `WARM_UP` runs; on other devices, return the work
    itself after the same runs.

    Raises:
        RuntimeError: the work cannot be captured, for example because it reads from the device.
    """
    if device.type != "cuda":
        for _ in range(WARM_UP):
            work()
        return work
    # before torch 2.15 a failed capture leaves its own stream current
    home = torch.cuda.current_stream(device)
    with torch.cuda.device(device), torch.cuda.stream(home):
        side = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        side.wait_stream(home)
        with torch.cuda.stream(side):
            for _ in range(WARM_UP - 1):
                work()
            with forbid_sync():
                work()
        home.wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        # the warm-up stream already has workspaces; other threads may use CUDA meanwhile
        with torch.cuda.graph(graph, stream=side, capture_error_mode="thread_local"):
            work()

    def replay() -> None:
        with torch.cuda.device(device):
            graph.replay()

    return replay


@contextmanager
def forbid_sync() -> Iterator[None]:
    """Make waiting for a CUDA device an error. A capture would fail as well, but would leave
    torch's generators unusable for the rest of the process."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Synchronization debug mode is a prototype")
        before = torch.cuda.get_sync_debug_mode()
        torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode(before)


def in_parallel(works: Sequence[Work], device: torch.device) -> Work:
    """Run each work on its own stream, forked from the current stream and joined to it again; on
    other devices, run them in turn."""

    def in_turn() -> None:
        for work in works:
            work()

    if device.type != "cuda":
        return in_turn
    streams = [torch.cuda.Stream(device) for _ in works]  # type: ignore[no-untyped-call]

    def on_streams() -> None:
        home = torch.cuda.current_stream(device)
        for stream in streams:
            stream.wait_stream(home)
        try:
            for work, stream in zip(works, streams, strict=True):
                with torch.cuda.stream(stream):
                    work()
        finally:  # a capture with unjoined streams cannot end, and then the allocator hangs
            for stream in streams:
                home.wait_stream(stream)

    return on_streams
