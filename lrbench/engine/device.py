"""Where a training runs: the device, its threads, its compiler, and their description."""

from __future__ import annotations

import os
import platform
import shutil
from contextlib import suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from lrbench.errors import MachineError

if TYPE_CHECKING:
    import torch

COMPILERS = ("c++", "g++", "clang++")


def open_device(name: str) -> torch.device:
    """The torch device for `auto`, `cpu`, `cuda` or `cuda:N`.

    Raises:
        MachineError: this machine, or this torch, has no such device.
    """
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "mps":
        raise MachineError("--device mps is not supported", hint="use --device cpu")
    if name.startswith("cuda"):
        index = int(name.partition(":")[2] or 0)
        if not torch.cuda.is_available():
            raise MachineError(
                f"--device {name}: torch {torch.__version__} sees no CUDA device here",
                hint="use --device cpu",
            )
        if index >= torch.cuda.device_count():
            raise MachineError(
                f"--device {name}: this machine has {torch.cuda.device_count()} CUDA device(s)"
            )
    return torch.device(name)


def missing_compiler(*, on_cuda: bool) -> str:
    """What torch.compile lacks on this machine; empty if nothing."""
    if on_cuda and find_spec("triton") is None:
        return "needs triton"
    if not any(shutil.which(name) for name in (os.environ.get("CXX", "c++"), *COMPILERS)):
        return "needs a C++ compiler"
    return ""


class DeviceLost(MachineError):
    """The process can no longer use its device."""


def check_device(device: torch.device) -> None:
    """See whether a GPU is still usable after a fault. Out of memory does no harm, but after an
    illegal access every later call of the process fails too.

    Raises:
        DeviceLost: the GPU is not usable.
    """
    import torch

    if device.type != "cuda":
        return
    try:
        torch.cuda.synchronize(device)
    except RuntimeError as fault:
        raise DeviceLost(
            f"this process has lost its GPU: {str(fault).splitlines()[0]}",
            hint="the same command goes on in a new process, or use --executor pool",
        ) from None
    with suppress(RuntimeError):  # refused after a failed capture, harmlessly
        torch.cuda.empty_cache()


def default_threads() -> int:
    """The number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def set_threads(threads: int) -> None:
    """Fix the threads of torch's operators: their number changes the last bits on a CPU."""
    import torch

    torch.set_num_threads(threads)


def make_deterministic(device: torch.device) -> None:
    """Use only deterministic kernels on CUDA for the rest of the process; an operation without
    one is an error. On a CPU, torch's kernels are deterministic for a fixed number of threads."""
    import torch

    if device.type != "cuda":
        return
    # cuBLAS reads it on first use, and so do child processes
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False


def describe(device: torch.device, threads: int, **switches: bool | int) -> dict[str, Any]:
    """What the bits of a result depend on: device, threads, versions, and the engine's switches."""
    import torch
    import torchvision

    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    return {
        "device": device.type,
        "device_name": name,
        "threads": threads,
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "python": platform.python_version(),
        "platform": platform.system().lower(),
        **switches,
    }
